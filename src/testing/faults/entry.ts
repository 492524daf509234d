/**
 * The server with faults: the same composition as the product's, started with the seams that the environment arms.
 * @module
 */
import { runProcess } from "../../main.ts";
import { FaultPlan, heldLine, takeFaults } from "./plan.ts";
import { faultySeams } from "./seams.ts";

let released = Promise.withResolvers<undefined>();
process.on("SIGUSR2", () => {
  released.resolve(undefined);
  released = Promise.withResolvers();
});

const plan = new FaultPlan(takeFaults(process.env), (point) => {
  process.stderr.write(heldLine(point));
  return released.promise;
});

await runProcess(Bun.argv.slice(2), faultySeams(plan));
