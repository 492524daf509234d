/**
 * A small disk of its own: a tmpfs in a private mount namespace, which nobody else sees and which is gone with the
 * process that holds it. Commands, the server's too, are run inside it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "../guardian.ts";

/** Two ways into a namespace of one's own: as root, and as anybody where the kernel allows user namespaces. */
const ways: readonly { readonly unshare: readonly string[]; readonly enter: readonly string[] }[] = [
  { unshare: ["unshare", "--mount"], enter: ["nsenter", "--mount"] },
  {
    unshare: ["unshare", "--user", "--map-root-user", "--mount"],
    enter: ["nsenter", "--user", "--preserve-credentials", "--mount"],
  },
];

// `cat` ends when its standard input does, which is when the test ends, in whatever way.
const holdScript = 'mount -t tmpfs -o "size=$2" small-disk "$1" && echo mounted && exec cat > /dev/null';

type Holder = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** The disk. */
export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted; empty for everybody outside. */
  readonly path: string;
  /** Runs the rest of its arguments inside, in its own place. */
  readonly prefix: readonly string[];
  readonly #holder: Holder;

  private constructor(path: string, prefix: readonly string[], holder: Holder) {
    this.path = path;
    this.prefix = prefix;
    this.#holder = holder;
  }

  /** Mounts one. Rejects with the reasons when this machine allows none of the ways. */
  static async mount(bytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), "mts-disk-"));
    const reasons: string[] = [];
    for (const { unshare, enter } of ways) {
      const outcome = await hold(unshare, path, bytes);
      if (typeof outcome !== "string") return new SmallDisk(path, [...enter, "--target", `${outcome.pid}`], outcome);
      reasons.push(`${unshare.join(" ")}: ${outcome}`);
    }
    await rm(path, { recursive: true });
    throw new Error(
      `A full disk can only be tested on one of its own, which takes a private mount namespace. Run the tests as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1). Tried:\n${reasons.join("\n")}`,
    );
  }

  /** Runs a shell script inside; `$1` is the disk's folder. */
  async run(script: string): Promise<void> {
    const child = Bun.spawn([...this.prefix, "/bin/sh", "-c", script, "sh", this.path], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const stderr = await new Response(child.stderr).text();
    const code = await child.exited;
    if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr}`);
  }

  /** Writes a file of this length. */
  async fill(name: string, bytes: number): Promise<void> {
    await this.run(`head -c ${bytes} /dev/zero > "$1/${name}"`);
  }

  /** Writes a file until nothing more fits; it may stay empty. */
  async fillUp(name: string): Promise<void> {
    await this.run(`cat /dev/zero > "$1/${name}" 2> /dev/null || true`);
  }

  /** Shortens a file by so many bytes, which are free then. */
  async shorten(name: string, bytes: number): Promise<void> {
    await this.run(`truncate --size=-${bytes} "$1/${name}"`);
  }

  async remove(name: string): Promise<void> {
    await this.run(`rm "$1/${name}"`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.end();
    await this.#holder.exited;
    release(this.#holder.pid);
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Starts the process that holds the namespace; a text is why it could not. */
const hold = async (unshare: readonly string[], path: string, bytes: number): Promise<Holder | string> => {
  let holder: Holder;
  try {
    holder = Bun.spawn([...unshare, "/bin/sh", "-c", holdScript, "sh", path, `${bytes}`], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
  } catch (error) {
    return String(error);
  }
  guard(holder.pid);
  const { value } = await holder.stdout.getReader().read();
  if (value !== undefined) return holder;
  const stderr = await new Response(holder.stderr).text();
  await holder.exited;
  release(holder.pid);
  return stderr.trim();
};
