/**
 * The deployment files, where there is no Docker and no cluster to try them on: public schemas read them, what they say
 * of one another and of the server is compared, and the image's own commands are run as processes.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { settings } from "../src/config-settings.ts";
import { guard, release } from "../src/testing/guardian.ts";
import { installedPath } from "../src/testing/installed.ts";
import {
  type ComposeService,
  compose,
  composeServices,
  manifestFiles,
  manifestOf,
  manifests,
  programs,
  refusedByServer,
  root,
  stageOf,
  stages,
  storeUrls,
  textOf,
  unknownToTarantool,
  withDefaults,
  workloads,
} from "./docker/deployment.ts";
import { commandOf, copiedPathsOf, environmentOf, lastOf } from "./docker/dockerfile.ts";

let temporary: string;
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), "mts-deploy-"));
});
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

describe("schemas", () => {
  let python: string;
  let actionlint: string;

  beforeAll(async () => {
    python = await installedPath("deploy-tools", "deploy_python");
    actionlint = await installedPath("deploy-tools", "actionlint");
  }, 300_000);

  /** Everything a checker has to say, and whether it is content. */
  const run = async (command: readonly string[]): Promise<{ readonly ok: boolean; readonly said: string }> => {
    const child = Bun.spawn([...command], { cwd: root, stdin: "ignore", stderr: "pipe" });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { ok: code === 0, said: out + err };
  };
  const check = (...args: readonly string[]): ReturnType<typeof run> => run([python, "-m", ...args]);
  const kubernetesFiles = manifestFiles.map((file) => `scripts/k8s/${file}`);

  test.each([
    ["the compose file", ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]],
    ["the workflow", ["check_jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"]],
    // The oldest one that anybody should run, and the newest one that the checker knows.
    ["Kubernetes 1.30", ["kubernetes_validate", "--strict", "-k", "1.30.0", ...kubernetesFiles]],
    ["Kubernetes 1.37", ["kubernetes_validate", "--strict", "-k", "1.37.0", ...kubernetesFiles]],
  ])("%s", async (_, args) => {
    const { ok, said } = await check(...args);
    expect(ok, said).toBe(true);
  });

  test("the workflow's expressions, contexts and dependencies", async () => {
    // Without the linters of shell and Python, which would be used where they happen to be installed.
    const lint = (path: string): ReturnType<typeof run> => run([actionlint, "-shellcheck=", "-pyflakes=", path]);
    const { ok, said } = await lint(".github/workflows/ci.yml");
    expect(ok, said).toBe(true);
    const wrong = join(temporary, "ci.yml");
    await Bun.write(wrong, textOf(".github/workflows/ci.yml").replace("steps.meta.outputs", "steps.mtea.outputs"));
    expect((await lint(wrong)).ok).toBe(false);
  });

  test("would notice a misspelt key", async () => {
    const wrongCompose = join(temporary, "compose.yml");
    await Bun.write(wrongCompose, textOf("docker-compose.yml").replace("depends_on:", "depend_on:"));
    const wrongService = join(temporary, "service.yaml");
    await Bun.write(wrongService, textOf("scripts/k8s/service.yaml").replace("targetPort:", "target_port:"));
    const outcomes = await Promise.all([
      check("check_jsonschema", "--builtin-schema", "vendor.compose-spec", wrongCompose),
      check("kubernetes_validate", "--strict", "-k", "1.37.0", wrongService),
    ]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([false, false]);
  });
});

describe("Dockerfile", () => {
  test("runs the Bun that package.json pins, and the MinIO that the tests run", () => {
    expect(stageOf("server").base).toBe(`oven/bun:${packageJson.engines.bun}-slim`);
    expect(stageOf("dependencies").base).toBe(stageOf("server").base);
    const minio = /^minio_version=(\S+)$/m.exec(textOf("scripts/lib/minio.sh"))?.[1];
    expect(lastOf(stageOf("s3-build"), "RUN")).toContain(`github.com/minio/minio@${minio}"`);
  });

  test("builds the server when no target is named, from the lock file, for a user that is not root", () => {
    expect(stages.at(-1)?.name).toBe("server");
    expect(lastOf(stageOf("dependencies"), "RUN")).toBe("bun install --frozen-lockfile --production");
    expect(lastOf(stageOf("server"), "STOPSIGNAL")).toBe("SIGTERM");
    for (const image of ["server", "tarantool", "s3"]) expect(lastOf(stageOf(image), "USER")).toMatch(/^[1-9]\d*:/);
  });

  test("copies what is there and what .dockerignore lets through", () => {
    const rules = textOf(".dockerignore").split("\n");
    for (const path of stages.flatMap(copiedPathsOf)) {
      expect(existsSync(join(root, path)), path).toBe(true);
      expect(
        rules.some((rule) => rule.startsWith("!") && `${path}/`.startsWith(`${rule.slice(1)}/`)),
        path,
      ).toBe(true);
    }
    expect(copiedPathsOf(stageOf("tarantool"))).toContain("lua");
  });

  test("sets variables that server and Lua know, and shows their ports", () => {
    expect(refusedByServer(environmentOf(stageOf("server")))).toEqual([]);
    const forLua = Object.keys(environmentOf(stageOf("tarantool"))).filter((name) => name.startsWith("MTS_"));
    expect(unknownToTarantool(forLua)).toEqual([]);
    expect(lastOf(stageOf("server"), "EXPOSE")).toBe(`${settings.httpPort.initial} ${settings.grpcPort.initial}`);
  });

  test.each(["server", "tarantool", "s3"])("%s starts and checks itself with programs it has", (image) => {
    expect(programs[image]).toContain(commandOf(stageOf(image), "ENTRYPOINT")[0]);
    expect(programs[image]).toContain(commandOf(stageOf(image), "HEALTHCHECK")[0]);
  });

  test("its commands work: flags behind the entry point, health check, clean end on SIGTERM", async () => {
    const here = (word: string): string => (word === "bun" ? process.execPath : word.replace("/app/", `${root}/`));
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_")));
    const entry = [...commandOf(stageOf("server"), "ENTRYPOINT").map(here), "--http-port", "0", "--grpc-port=0"];
    const server = Bun.spawn([...entry, "--data-dir", join(temporary, "data")], {
      cwd: temporary,
      env: environment,
      stdin: "ignore",
      stderr: "ignore",
    });
    guard(server.pid);
    const health = async (port: string): Promise<number> =>
      Bun.spawn(commandOf(stageOf("server"), "HEALTHCHECK").map(here), {
        cwd: temporary,
        env: { ...environment, MTS_HTTP_PORT: port },
        stderr: "ignore",
      }).exited;

    const first = await server.stdout.getReader().read();
    const port = new URL(new TextDecoder().decode(first.value).split("\n", 1)[0] ?? "").port;
    expect(await health(port)).toBe(0);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    release(server.pid);
    expect(await health(port)).not.toBe(0);
  });
});

describe("docker-compose.yml", () => {
  test("starts without any variable set", () => {
    // Comments may speak of variables.
    expect(withDefaults(JSON.stringify(compose))).not.toContain("$");
  });

  test("waits for services that say they are healthy, by programs they have", () => {
    for (const [name, service] of composeServices) {
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(Object.keys(compose.services)).toContain(needed);
        expect(condition).toBe("service_healthy");
      }
      const [form, program] = service.healthcheck.test;
      expect(form).toBe("CMD");
      expect(programs[service.build?.target ?? name]).toContain(program ?? "");
    }
    expect(compose.services.node.deploy?.replicas).toBeGreaterThanOrEqual(2);
  });

  test("builds stages that exist, mounts what exists", () => {
    for (const [, { build, image, volumes }] of composeServices) {
      if (build !== undefined) {
        expect(existsSync(join(root, build.dockerfile))).toBe(true);
        expect(withDefaults(image)).toBe(`minitoolstream/${stageOf(build.target).name}:${packageJson.version}`);
      }
      for (const volume of volumes ?? []) {
        const [source = "", target = ""] = volume.split(":");
        if (source.startsWith(".")) expect(existsSync(join(root, source)), source).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(source);
        if (build !== undefined) expect(lastOf(stageOf(build.target), "VOLUME")).toBe(target);
      }
    }
  });

  test("gives each program variables it knows", () => {
    const { node, tarantool } = compose.services;
    const environment = Object.entries(node.environment ?? {}).map(([name, value]) => [name, withDefaults(value)]);
    expect(refusedByServer(Object.fromEntries(environment) as Record<string, string>)).toEqual([]);
    expect(unknownToTarantool(Object.keys(tarantool.environment ?? {}))).toEqual([]);
  });

  test("leads nodes to the stores, with the passwords these have", () => {
    const valueOf = (service: ComposeService, name: string): string => withDefaults(service.environment?.[name] ?? "");
    const { node, tarantool, s3 } = compose.services;
    expect(valueOf(node, "MTS_METADATA_URL")).toBe(
      `tarantool://minitoolstream:${valueOf(tarantool, "MTS_TARANTOOL_PASSWORD")}@tarantool:${lastOf(stageOf("tarantool"), "EXPOSE")}`,
    );
    expect(valueOf(node, "MTS_BODIES_URL")).toStartWith(
      `s3://${valueOf(s3, "MINIO_ROOT_USER")}:${valueOf(s3, "MINIO_ROOT_PASSWORD")}@s3:${lastOf(stageOf("s3"), "EXPOSE")}/minitoolstream?`,
    );
  });

  test("the load balancer listens on the server's ports, sends to them, and lets in this machine only", () => {
    const config = textOf("scripts/docker/haproxy.cfg");
    for (const { initial: port } of [settings.httpPort, settings.grpcPort]) {
      expect(config).toContain(`bind :${port}\n`);
      expect(config).toMatch(new RegExp(`server-template node \\d+ node:${port}\n`));
      expect(compose.services.lb.ports?.map(withDefaults)).toContain(`127.0.0.1:${port}:${port}`);
    }
    expect(config).toContain("GET uri /readyz");
  });

  test("watches itself only when asked to: Prometheus scrapes the nodes, Grafana asks Prometheus", () => {
    const profiled = composeServices.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name);
    expect(profiled).toEqual(["prometheus", "grafana"]);
    const { prometheus, grafana } = compose.services;
    const mountOf = (service: ComposeService, folder: string): string | undefined =>
      service.volumes?.find((volume) => volume.startsWith(`./${folder}:`))?.split(":")[1];
    expect(mountOf(prometheus, "scripts/prometheus")).toBe("/etc/prometheus");
    const config = Bun.YAML.parse(textOf("scripts/prometheus/prometheus.yml")) as {
      readonly rule_files: readonly string[];
      readonly scrape_configs: readonly { readonly dns_sd_configs?: readonly { names: string[]; port: number }[] }[];
    };
    for (const file of config.rule_files) expect(existsSync(join(root, "scripts/prometheus", file))).toBe(true);
    const nodes = config.scrape_configs.flatMap(({ dns_sd_configs: found = [] }) => found);
    expect(nodes).toMatchObject([{ names: ["node"], port: Number(settings.httpPort.initial) }]);

    expect(mountOf(grafana, "scripts/grafana/provisioning")).toBe("/etc/grafana/provisioning");
    const sources = Bun.YAML.parse(textOf("scripts/grafana/provisioning/datasources/prometheus.yaml")) as {
      readonly datasources: readonly { readonly uid: string; readonly url: string }[];
    };
    expect(sources.datasources).toMatchObject([{ uid: "prometheus", url: "http://prometheus:9090" }]);
    const providers = Bun.YAML.parse(textOf("scripts/grafana/provisioning/dashboards/minitoolstream.yaml")) as {
      readonly providers: readonly { readonly options: { readonly path: string } }[];
    };
    const folder = mountOf(grafana, "scripts/grafana/dashboards") ?? "";
    expect(providers.providers.map(({ options }) => options.path)).toEqual([folder]);
    expect(grafana.environment?.["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).toBe(`${folder}/minitoolstream.json`);
    // Each panel asks the source that is provisioned.
    const uids = [
      ...textOf("scripts/grafana/dashboards/minitoolstream.json").matchAll(/"type": "prometheus",\s*"uid": "(\w+)"/g),
    ];
    expect(new Set(uids.map(([, uid]) => uid))).toEqual(new Set(["prometheus"]));
  });
});

describe("Kubernetes", () => {
  const kustomization = Bun.YAML.parse(textOf("scripts/k8s/kustomization.yaml")) as {
    readonly namespace: string;
    readonly resources: readonly string[];
    readonly images: readonly { readonly name: string; readonly newTag: string }[];
  };
  const secretKeys = Object.keys(manifestOf("Secret", "minitoolstream").stringData ?? {});
  const settingsOfNodes = manifestOf("ConfigMap", "minitoolstream").data ?? {};

  test("everything is applied but the example of a Secret, into one namespace", () => {
    const wanted = manifestFiles.filter((file) => file !== "secret.example.yaml");
    expect([...kustomization.resources].sort()).toEqual(wanted.sort());
    for (const { kind, metadata } of manifests) {
      if (kind !== "Namespace") expect(metadata.namespace).toBe(kustomization.namespace);
    }
  });

  test("runs the images of this version, which the kustomization knows", () => {
    for (const { container } of workloads) {
      const [name = "", tag] = container.image.split(":");
      expect(tag).toBe(packageJson.version);
      expect(stageOf(name.replace("minitoolstream/", "")).name).not.toBe("");
      expect(kustomization.images.find((image) => image.name === name)?.newTag).toBe(packageJson.version);
    }
  });

  test("has no Lua of its own: the functions are those in the image", () => {
    for (const { data } of manifests) expect(Object.keys(data ?? {}).filter((key) => key.endsWith(".lua"))).toEqual([]);
    for (const { container } of workloads) {
      expect(container.volumeMounts.filter(({ mountPath }) => mountPath.startsWith("/opt"))).toEqual([]);
    }
  });

  test("sets variables that are known, from keys that exist, each after those it is made from", () => {
    for (const { manifest, template, container } of workloads) {
      const names: string[] = [];
      for (const { name, value, valueFrom } of container.env) {
        if (valueFrom !== undefined) {
          expect(valueFrom.secretKeyRef.name).toBe("minitoolstream");
          expect(secretKeys).toContain(valueFrom.secretKeyRef.key);
        }
        for (const [, used] of value?.matchAll(/\$\((\w+)\)/g) ?? []) expect(names).toContain(used ?? "");
        names.push(name);
      }
      // Otherwise the cluster adds variables named after its services.
      expect(template.spec.enableServiceLinks).toBe(false);
      if (manifest.metadata.name === "tarantool") expect(unknownToTarantool(names)).toEqual([]);
    }
    expect(refusedByServer(settingsOfNodes)).toEqual([]);
    expect(settingsOfNodes["MTS_HTTP_PORT"]).toBe(settings.httpPort.initial);
    expect(settingsOfNodes["MTS_GRPC_PORT"]).toBe(settings.grpcPort.initial);
    const [node] = manifestOf("Deployment", "minitoolstream").spec?.template?.spec.containers ?? [];
    expect(node?.envFrom?.map(({ configMapRef }) => configMapRef.name)).toEqual(["minitoolstream"]);
    const hosts = node?.env.filter(({ name }) => storeUrls.includes(name)).map(({ value }) => value?.split("@")[1]);
    expect(hosts).toEqual(["tarantool:3301", "s3:9000/minitoolstream?tls=false&region=us-east-1"]);
  });

  test("services and budget find their pods, ports and mounts have the names they go by", () => {
    const selectors = manifests.flatMap(({ kind, spec }) =>
      kind === "Service" || kind === "PodDisruptionBudget" ? [spec?.selector?.matchLabels ?? spec?.selector ?? {}] : [],
    );
    for (const selector of selectors) {
      const matching = workloads.filter(({ template }) =>
        Object.entries(selector).every(([label, value]) => template.metadata.labels[label] === value),
      );
      expect(matching.length).toBe(1);
    }
    for (const { manifest, template, container } of workloads) {
      const service = manifestOf("Service", manifest.metadata.name);
      expect(service.spec?.ports?.map(({ targetPort, port }) => ({ name: targetPort, containerPort: port }))).toEqual([
        ...container.ports,
      ]);
      const volumes = [...template.spec.volumes, ...(manifest.spec?.volumeClaimTemplates ?? []).map((c) => c.metadata)];
      expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.map(({ name }) => name).sort());
    }
  });

  test("probes ask for what exists; nodes are two, and have the time to stop", () => {
    for (const { container } of workloads) {
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
        const port = probe.httpGet?.port ?? probe.tcpSocket?.port;
        if (port !== undefined) expect(container.ports.map(({ name }) => name)).toContain(port);
        else expect(probe.exec?.command).toEqual([...commandOf(stageOf("tarantool"), "HEALTHCHECK")]);
      }
    }
    const { spec } = manifestOf("Deployment", "minitoolstream");
    const [node] = spec?.template?.spec.containers ?? [];
    expect(node?.livenessProbe.httpGet?.path).toBe("/healthz");
    expect(node?.readinessProbe.httpGet?.path).toBe("/readyz");
    expect(spec?.replicas).toBeGreaterThanOrEqual(2);
    expect(spec?.template?.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(15);
  });
});
