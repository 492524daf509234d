/**
 * The server with faults: the same composition as the product's, started with the seams that the environment arms.
 * @module
 */
import { runProcess } from "../../main.ts";
import { FaultPlan, takeFaults } from "./plan.ts";
import { faultySeams } from "./seams.ts";

const released = Promise.withResolvers<undefined>();
process.on("SIGUSR2", () => released.resolve(undefined));

await runProcess(Bun.argv.slice(2), faultySeams(new FaultPlan(takeFaults(process.env), released.promise)));
