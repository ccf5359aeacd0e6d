/** OpenTelemetry, which the runtime has, as a collector sees it. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, missing, nameOf } from "./binary.ts";
import { block, read } from "./configurations.ts";
import { add, eventually, follow, run, start, tempDir, within } from "./processes.ts";
import { following } from "./replicas.ts";

/** A span, as OTLP has it in JSON. */
interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  service: string;
  attributes: Record<string, string>;
}

const SERVER = 2;
const CLIENT = 3;

interface Attribute {
  key: string;
  value: { stringValue?: string };
}

/** What OTLP/HTTP sends as JSON. */
interface Traces {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: (Omit<Span, "service" | "attributes"> & { attributes: Attribute[] })[] }[];
  }[];
}

function toRecord(attributes: Attribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? ""]));
}

/** A collector: it takes in what servers send by OTLP. */
class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  readonly paths = new Set<string>();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    const { pathname } = new URL(req.url);
    this.paths.add(pathname);
    if (pathname === "/v1/traces") this.#take(await req.json());
    else await req.body?.cancel();
    return Response.json({});
  });

  /** What lets a server send here. */
  env(service: string): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
  }

  #take({ resourceSpans }: Traces): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = toRecord(resource.attributes)["service.name"];
      for (const { spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({ ...span, service, attributes: toRecord(span.attributes) });
        }
      }
    }
  }

  async [Symbol.asyncDispose]() {
    await this.#server.shutdown();
  }
}

// A binary has it only if it was compiled so: see the last test.
const ignore = Deno.env.get("GOTO_BINARY") !== undefined;

it(
  "a trace goes from a replica's /add through its request to the master's /rpc",
  { ignore },
  async () => {
    await using collector = await Promise.resolve(new Collector());
    await using master = await start({ env: collector.env("master") }, "-rpc");
    await using replica = await start({ env: collector.env("replica") }, `-master=${master.url}`);
    await following(replica);
    const { spans } = collector;
    // Calls that travel together are part of the trace of the first: so it may take a second link.
    await eventually(async () => {
      await add(replica.url, "https://example.com/");
      const found = spans.some((served) => {
        if (served.service !== "master" || served.kind !== SERVER) return false;
        const asked = spans.find(({ spanId }) => spanId === served.parentSpanId);
        const added = spans.find(({ spanId }) => spanId === asked?.parentSpanId);
        if (!asked || added?.attributes["url.path"] !== "/add") return false;
        assertEquals([asked, added].map(({ service }) => service), ["replica", "replica"]);
        assertEquals([asked, added].map(({ kind }) => kind), [CLIENT, SERVER]);
        assertEquals([asked, added].map(({ traceId }) => traceId), [
          served.traceId,
          served.traceId,
        ]);
        assertEquals(served.attributes["url.path"], "/rpc");
        return true;
      });
      assert(found, JSON.stringify(spans.slice(-20)));
    });
  },
);

it("a redirect is traced, on each thread, with its status", { ignore }, async () => {
  await using collector = await Promise.resolve(new Collector());
  const options = { env: collector.env("goto") };
  await using master = await start(options, "-threads=2");
  const key = await add(master.url, "https://example.com/");
  await follow(master.url, key);
  await eventually(() => {
    return collector.spans.some(({ kind, attributes }) =>
      kind === SERVER && attributes["url.path"] === `/${key}`
    );
  });
});

describe("with a collector that hangs", { ignore }, () => {
  /** What docs/monitoring.md sets, for a collector that takes what comes and never answers. */
  const options = async (collector: Deno.Listener) => {
    const exports = (await block("docs/monitoring.md", "sh", "OTEL_DENO")).matchAll(
      /^export (\w+)=(\S+)/gm,
    );
    const { port } = collector.addr as Deno.NetAddr;
    const own = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
    return { env: { ...Object.fromEntries(Array.from(exports, ([, ...pair]) => pair)), ...own } };
  };
  const LIMIT = 8000; // it is some 10 s and 20 s without OTEL_EXPORTER_OTLP_TIMEOUT

  it("commands, and the end of a server, take no longer than docs/monitoring.md says", async () => {
    using collector = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const hanging = await options(collector);
    for (const flags of [["-version"], ["-help"]]) {
      const { code } = await within(LIMIT, flags[0], run(hanging, ...flags));
      assertEquals(code, 0);
    }
    await using master = await start(hanging);
    const { host } = new URL(master.url);
    const check = run(hanging, "-healthcheck", `-http=${host}`);
    assertEquals((await within(LIMIT, "-healthcheck", check)).stdout, "ok\n");
    await follow(master.url, "none");
    assertEquals((await within(LIMIT, "the end", master.stop())).code, 0);
  });
});

it("the image sets the timeout that docs/monitoring.md sets", async () => {
  const [, inDocs] =
    /OTEL_EXPORTER_OTLP_TIMEOUT=(\d+)/.exec(await block("docs/monitoring.md", "sh", "OTEL_DENO")) ??
      [];
  const [, inImage] =
    /^ENV OTEL_EXPORTER_OTLP_TIMEOUT=(\d+)$/m.exec(await read("scripts/Dockerfile")) ?? [];
  assertEquals([inDocs, inImage], ["500", "500"]);
});

it("a program that was compiled with OTEL_DENO=true sends traces, too", {
  ignore: !Deno.env.get("DENORT_BIN"),
}, async () => {
  assertEquals(missing(), undefined);
  using dir = tempDir();
  const target = Deno.build.target;
  const { code, stderr } = await compile([`--target=${target}`, `--dir=${dir.path}`], {
    OTEL_DENO: "true",
  });
  assertEquals(code, 0, stderr);
  await using collector = await Promise.resolve(new Collector());
  const binary = `${dir.path}/${nameOf(target)}`;
  await using master = await start({ binary, env: collector.env("binary") });
  const key = await add(master.url, "https://example.com/");
  assertEquals((await follow(master.url, key)).status, 302);
  await eventually(() => collector.spans.some(({ service }) => service === "binary"));
});
