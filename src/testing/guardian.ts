/**
 * Makes sure that no process outlives the tests that started it, also when the test runner is killed outright: a
 * shell waits for the end of its standard input, which comes when this process dies in whatever way, and then kills
 * the process ids that are still on its list.
 * @module
 */

const script = `
trap '' INT TERM HUP
while read -r sign pid; do
  case "$sign" in
    +) pids="$pids $pid" ;;
    -) kept=""; for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done; pids="$kept" ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
`;

const start = () => {
  const child = Bun.spawn(["/bin/sh", "-c", script], { stdin: "pipe", stdout: "ignore", stderr: "ignore" });
  // The guardian must not keep the runner alive.
  child.unref();
  return child;
};

let guardian: ReturnType<typeof start> | undefined;

const tell = (line: string): void => {
  guardian ??= start();
  void guardian.stdin.write(`${line}\n`);
  void guardian.stdin.flush();
};

/** From now on the process dies with this one. */
export const guard = (pid: number): void => tell(`+ ${pid}`);

/** The process has ended by itself; its id may be given to another. */
export const release = (pid: number): void => tell(`- ${pid}`);
