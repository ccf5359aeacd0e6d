/** Where the program listens. */
import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { run, start } from "./processes.ts";
import { works } from "./tools.ts";

/** Makes what is started have a network of its own, where "::" is IPv6 alone. */
const apart = [
  "unshare",
  "--net",
  "sh",
  "-c",
  'ip link set lo up && sysctl -qw net.ipv6.bindv6only=1 && exec "$0" "$@"',
];

// Needs Linux, root, and Debian's iproute2 and procps.
const ignore = !await works(apart[0], ...apart.slice(1), "true");

const everywhere = [
  ["-http=:8080"], // of a network of its own
  ["-http=:0", "-threads=3"],
  ["-http=127.0.0.1:0", "-admin=:0"],
];

for (const flags of everywhere) {
  it(`${flags.join(" ")} takes IPv4 and IPv6, also where the system keeps them apart`, {
    ignore,
  }, async () => {
    await using master = await start({ through: apart }, ...flags);
    const through = ["nsenter", `--target=${master.pid}`, "--net"]; // util-linux, as unshare
    const serving = await master.waitForLog(({ msg }) => msg === "serving");
    const { port } = new URL(serving.admin ?? serving.url);
    for (const host of ["127.0.0.1", "[::1]"]) {
      for (let n = 0; n < 3; n++) { // whichever thread answers
        const { code, stderr } = await run({ through }, "-healthcheck", `-http=${host}:${port}`);
        assertEquals([code, stderr], [0, ""], host);
      }
    }
    for (const host of ["0.0.0.0", "[::]", ""]) {
      const second = await run({ through }, `-http=${host}:${port}`);
      const name = host.replace(/[[\]]/g, "");
      assertEquals(second, {
        code: 1,
        stdout: "",
        stderr: `goto: can't listen on ${name}:${port}: Address already in use (os error 98)\n`,
      });
    }
    // Who finds one of the two taken takes none.
    await using _ = await start({ through }, "-http=0.0.0.0:9");
    assertEquals((await run({ through }, "-http=:9")).code, 1);
    assertEquals((await master.stop()).code, 0, master.stderr);
  });
}
