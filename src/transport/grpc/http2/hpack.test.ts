/**
 * Header compression against the examples of RFC 7541 appendix C, and against what an attacker sends.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { ConnectionError } from "./errors.ts";
import { encodeHeaders, HpackDecoder } from "./hpack.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");
const bytesMax = 16_384;

const decodeAll = (blocks: readonly string[]): string[] => {
  const decoder = new HpackDecoder();
  return blocks.map((block) =>
    decoder
      .decode(bytes(block), bytesMax)
      .fields.map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
  );
};

describe("HPACK", () => {
  const requests = [
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value",
  ];

  test("reads requests without Huffman coding (C.3)", () => {
    const blocks = [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    expect(decodeAll(blocks)).toEqual(requests);
  });

  test("reads requests with Huffman coding (C.4)", () => {
    const blocks = [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    expect(decodeAll(blocks)).toEqual(requests);
  });

  test("what it writes is read the same", () => {
    const headers = { ":status": "200", "content-type": "application/grpc+proto", "x-long": "v".repeat(500) };
    const { fields } = new HpackDecoder().decode(encodeHeaders(headers), bytesMax);
    expect(Object.fromEntries(fields)).toEqual(headers);
  });

  test("what is beyond the limit is left out, and the table goes on", () => {
    const decoder = new HpackDecoder();
    const block = bytes("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d");
    expect(decoder.decode(block, 100)).toMatchObject({ isTooLarge: true });
    expect(decoder.decode(bytes("be"), bytesMax).fields).toEqual([[":authority", "www.example.com"]]);
  });

  const wrong: readonly (readonly [name: string, hex: string])[] = [
    ["an index of no table", "be"],
    ["index 0", "80"],
    ["a number without an end", "ffffffffffff"],
    ["a text that is cut off", "400a 6375"],
    ["a table larger than allowed", "3fe21f"],
    ["a resize behind a header", "8220"],
    ["Huffman padding with a zero", "4081 00 00"],
    ["Huffman padding of eight bits", "4082 1fff 00"],
  ];
  test.each(wrong.map((row) => [...row] as [string, string]))("refuses %s", (_, hex) => {
    expect(() => new HpackDecoder().decode(bytes(hex), bytesMax)).toThrow(ConnectionError);
  });
});
