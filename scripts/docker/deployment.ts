/**
 * What the deployment files say, read for their test: compose file, Dockerfile and Kubernetes objects as data, typed as
 * far as the test looks at them, and which variables the programs know.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { environmentNameOf, settingsList } from "../../src/config-settings.ts";
import { readStages, type Stage } from "./dockerfile.ts";

/** The repository. */
export const root = join(import.meta.dir, "..", "..");

/** The text of a file, by its path in the repository. */
export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** A service of the compose file, as far as it is looked at; the schema has the rest. */
export interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly deploy?: { readonly replicas: number };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
}
interface Compose {
  readonly services: Readonly<Record<"lb" | "node" | "tarantool" | "s3" | "prometheus" | "grafana", ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface Probe {
  readonly exec?: { readonly command: readonly string[] };
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly tcpSocket?: { readonly port: string };
}
interface EnvironmentEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}
interface Container {
  readonly image: string;
  readonly env: readonly EnvironmentEntry[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}
type Labels = Readonly<Record<string, string>>;
/** Any Kubernetes object: each kind has some of these. */
export interface Manifest {
  readonly file: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: Labels & { readonly matchLabels?: Labels };
    readonly ports?: readonly { readonly port: number; readonly targetPort: string }[];
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
    readonly template?: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly enableServiceLinks: boolean;
        readonly terminationGracePeriodSeconds: number;
        readonly volumes: readonly { readonly name: string }[];
        readonly containers: readonly [Container];
      };
    };
  };
}

/** The compose file, variables not filled in. */
export const compose = Bun.YAML.parse(textOf("docker-compose.yml")) as Compose;
/** Its services with their names. */
export const composeServices = Object.entries(compose.services);

/** The Dockerfile. */
export const stages = readStages(textOf("scripts/docker/Dockerfile"));

/** @throws Error when there is no such stage */
export const stageOf = (name: string): Stage => {
  const stage = stages.find((candidate) => candidate.name === name);
  if (stage === undefined) throw new Error(`the Dockerfile has no stage ${name}`);
  return stage;
};

/** Names of the files in scripts/k8s that hold objects for the cluster. */
export const manifestFiles = readdirSync(join(root, "scripts/k8s")).filter(
  (name) => name.endsWith(".yaml") && name !== "kustomization.yaml",
);

/** All the objects in them. */
export const manifests = manifestFiles.flatMap((file): Manifest[] =>
  [Bun.YAML.parse(textOf(`scripts/k8s/${file}`))].flat().map((object) => ({ ...(object as Manifest), file })),
);

/** @throws Error when there is no such object */
export const manifestOf = (kind: string, name: string): Manifest => {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
};

/** The objects that run pods; each has one container. */
export const workloads = manifests.flatMap((manifest) => {
  const template = manifest.spec?.template;
  return template === undefined ? [] : [{ manifest, template, container: template.spec.containers[0] }];
});

/** What Compose makes of a value when nothing is set; a variable without a default is left in, for a test to find. */
export const withDefaults = (value: string): string => value.replace(/\$\{\w+:-([^}]*)\}/g, "$1");

const serverVariables = new Map(settingsList.map((setting) => [environmentNameOf(setting.key), setting]));

/** Addresses of the stores: the test compares them with the stores themselves. */
export const storeUrls = ["MTS_METADATA_URL", "MTS_BODIES_URL"];

/** Variables that the server would refuse to start with: unknown ones and bad values. */
export const refusedByServer = (environment: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(environment)
    .filter(([name]) => name.startsWith("MTS_"))
    .filter(([name, value]) => {
      const parsed = serverVariables.get(name)?.parse(value);
      return parsed === undefined || "problem" in parsed;
    })
    .map(([name]) => name);

/** Variables that lua/ does not read. */
export const unknownToTarantool = (names: readonly string[]): readonly string[] => {
  const lua = [...new Bun.Glob("**/*.lua").scanSync(join(root, "lua"))].map((path) => textOf(`lua/${path}`)).join("\n");
  return names.filter((name) => !lua.includes(`"${name}"`));
};

/** Programs that an image is known to have, beside what its Dockerfile puts in. */
export const programs: Readonly<Record<string, readonly string[]>> = {
  server: ["bun"], // oven/bun
  tarantool: ["tarantool"], // tarantool/tarantool
  s3: ["wget", "minio"], // BusyBox of alpine; copied
  lb: ["wget", "haproxy"], // BusyBox of haproxy:*-alpine
  prometheus: ["wget", "prometheus"], // prom/prometheus, with BusyBox
  grafana: ["wget"], // BusyBox of alpine, which grafana/grafana is made of
};
