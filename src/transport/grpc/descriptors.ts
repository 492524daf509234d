/**
 * What the proto files say, for server reflection: which file has which symbol, and what it needs beside it.
 * @module
 */
import { descriptorSetBase64 } from "./descriptor-set.ts";
import { ProtoReader } from "./protobuf.ts";

/** The files and their symbols. */
export interface Descriptors {
  /** Full names. */
  readonly services: readonly string[];
  /** A file and all that it imports, as `FileDescriptorProto`; undefined when there is no such file. */
  byFile(name: string): readonly Buffer[] | undefined;
  /** The same for the file of a service, a method, a message, a field or an enumeration. */
  bySymbol(name: string): readonly Buffer[] | undefined;
}

interface ProtoFile {
  readonly bytes: Buffer;
  readonly imports: readonly string[];
}

/** Numbers of the fields of `FileDescriptorProto` and of what is inside; each has its name in field 1. */
const fileField = { name: 1, package: 2, import: 3, message: 4, enum: 5, service: 6 } as const;
const messageField = { field: 2, message: 3, enum: 4 } as const;
const memberField = 2;

const isOneOf = (field: number, fields: Readonly<Record<string, number>>): boolean =>
  Object.values(fields).includes(field);

/** Name, and what is inside by the number of its field. */
const partsOf = (bytes: Buffer): { readonly name: string; readonly parts: readonly (readonly [number, Buffer])[] } => {
  const reader = new ProtoReader(bytes);
  const parts: (readonly [number, Buffer])[] = [];
  let name = "";
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field <= fileField.service && reader.isBytes) parts.push([reader.field, reader.sub()]);
    else reader.skip();
  }
  return { name, parts };
};

/** Full names of a message and of all inside it. */
const messageSymbols = (scope: string, bytes: Buffer): readonly string[] => {
  const { name, parts } = partsOf(bytes);
  const full = `${scope}.${name}`;
  const inner = parts
    .filter(([field]) => isOneOf(field, messageField))
    .flatMap(([field, part]) =>
      field === messageField.message ? messageSymbols(full, part) : [`${full}.${partsOf(part).name}`],
    );
  return [full, ...inner];
};

const serviceSymbols = (scope: string, bytes: Buffer): readonly string[] => {
  const { name, parts } = partsOf(bytes);
  const methods = parts.filter(([field]) => field === memberField).map(([, part]) => partsOf(part).name);
  return [`${scope}.${name}`, ...methods.map((method) => `${scope}.${name}.${method}`)];
};

/** Reads the set. */
export const loadDescriptors = (): Descriptors => {
  const files = new Map<string, ProtoFile>();
  const symbols = new Map<string, string>();
  const services: string[] = [];
  const set = new ProtoReader(Buffer.from(descriptorSetBase64, "base64"));
  while (set.next()) {
    const bytes = set.sub();
    const { name: file, parts } = partsOf(bytes);
    const texts = (field: number): readonly string[] =>
      parts.filter(([number]) => number === field).map(([, text]) => text.toString("utf8"));
    const scope = texts(fileField.package)[0] ?? "";
    files.set(file, { bytes, imports: texts(fileField.import) });
    for (const [field, part] of parts) {
      const names =
        field === fileField.message
          ? messageSymbols(scope, part)
          : field === fileField.service
            ? serviceSymbols(scope, part)
            : field === fileField.enum
              ? [`${scope}.${partsOf(part).name}`]
              : [];
      if (field === fileField.service && names[0] !== undefined) services.push(names[0]);
      for (const name of names) symbols.set(name, file);
    }
  }
  const byFile = (name: string): readonly Buffer[] | undefined => {
    const file = files.get(name);
    if (file === undefined) return undefined;
    return [file.bytes, ...file.imports.flatMap((imported) => byFile(imported) ?? [])];
  };
  return {
    services: services.sort(),
    byFile,
    bySymbol(symbol) {
      const file = symbols.get(symbol);
      return file === undefined ? undefined : byFile(file);
    },
  };
};
