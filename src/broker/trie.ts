/**
 * Filters in a trie by token, so that finding who follows a subject costs its tokens, not the number of filters.
 * @module
 */
import type { Subject, SubjectFilter } from "../core/subject.ts";

interface Node<V> {
  readonly children: Map<string, Node<V>>;
  /** Values whose filter ends at this node. */
  readonly values: Set<V>;
}

const emptyNode = <V>(): Node<V> => ({ children: new Map(), values: new Set() });

/** A set of values under subject filters. */
export class FilterTrie<V> {
  readonly #root: Node<V> = emptyNode();
  #size = 0;

  /** How many (filter, value) pairs there are. */
  get size(): number {
    return this.#size;
  }

  add(filter: SubjectFilter, value: V): void {
    let node = this.#root;
    for (const token of filter.split(".")) {
      let child = node.children.get(token);
      if (child === undefined) {
        child = emptyNode();
        node.children.set(token, child);
      }
      node = child;
    }
    if (node.values.has(value)) return;
    node.values.add(value);
    this.#size++;
  }

  delete(filter: SubjectFilter, value: V): void {
    const path: { readonly node: Node<V>; readonly token: string }[] = [];
    let node = this.#root;
    for (const token of filter.split(".")) {
      const child = node.children.get(token);
      if (child === undefined) return;
      path.push({ node, token });
      node = child;
    }
    if (!node.values.delete(value)) return;
    this.#size--;
    // Empty branches go, so that a million short-lived filters leave nothing behind.
    for (const step of path.reverse()) {
      const child = step.node.children.get(step.token);
      if (child === undefined || child.values.size > 0 || child.children.size > 0) return;
      step.node.children.delete(step.token);
    }
  }

  /** Every filter that has a value, once. */
  filters(): SubjectFilter[] {
    const filters: string[] = [];
    collect(this.#root, "", filters);
    return filters as SubjectFilter[];
  }

  /** Calls `visit` for every value whose filter matches; a value under several filters is visited for each. */
  match(subject: Subject, visit: (value: V) => void): void {
    if (this.#size > 0) walk(this.#root, subject.split("."), 0, visit);
  }
}

const collect = <V>(node: Node<V>, prefix: string, filters: string[]): void => {
  for (const [token, child] of node.children) {
    const filter = prefix === "" ? token : `${prefix}.${token}`;
    if (child.values.size > 0) filters.push(filter);
    collect(child, filter, filters);
  }
};

const walk = <V>(node: Node<V>, tokens: readonly string[], depth: number, visit: (value: V) => void): void => {
  const token = tokens[depth];
  if (token === undefined) {
    for (const value of node.values) visit(value);
    return;
  }
  const rest = node.children.get(">");
  if (rest !== undefined) for (const value of rest.values) visit(value);
  const any = node.children.get("*");
  if (any !== undefined) walk(any, tokens, depth + 1, visit);
  const literal = node.children.get(token);
  if (literal !== undefined) walk(literal, tokens, depth + 1, visit);
};
