import { assertEquals, assertGreater, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { readAnswers } from "../scripts/fuzz/answers.ts";
import { fuzzHTTP } from "../scripts/fuzz/http.ts";
import { random } from "./random.ts";

// GOTO_FUZZ_SEED=... repeats a run.
const seed = Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed);

it(`good requests are answered as the API says, others as HTTP, whatever they are (seed ${seed})`, async () => {
  const { counts, wrong } = await fuzzHTTP(320, seed);
  console.log(`seed ${seed}:`, counts);
  assertEquals(wrong, []);
  for (const status of [200, 201, 204, 302, 400, 404, 405, 409]) {
    assertGreater(counts[status] ?? 0, 5, `${status}`);
  }
});

it("the fuzzer cuts answers apart, and knows what is no HTTP", () => {
  const one = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
  const two = "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnot\r\n0\r\n\r\n";
  const three = "HTTP/1.0 204 No Content\r\nx: y\r\n\r\n";
  const read = (text: string, bodiless = false) =>
    readAnswers(text, bodiless).map(({ status, body }) => [status, body]);
  assertEquals(read(one + two + three + one), [[200, "ok"], [404, "not"], [204, ""], [200, "ok"]]);
  assertEquals(read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true), [[200, ""]]);
  for (const cut of [one.slice(0, 10), two.slice(0, -8), "HTT"]) read(cut); // which is no mistake
  for (
    const bad of [
      "HTTQ",
      "oops\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
      `${one}more`,
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ]
  ) {
    assertThrows(() => read(bad), Error, "", bad);
  }
});
