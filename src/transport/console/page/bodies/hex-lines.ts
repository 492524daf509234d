/**
 * Bytes as lines of hexadecimal. Pure.
 * @module
 */

const lineBytes = 16;

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lines of sixteen bytes, as `hexdump -C` writes them. */
export const hexLines = (bytes: Uint8Array, from: number, to: number): string => {
  const lines: string[] = [];
  for (let at = from; at < Math.min(to, bytes.length); at += lineBytes) {
    const line = [...bytes.subarray(at, Math.min(at + lineBytes, bytes.length))];
    const codes = line.map((byte) => hex[byte] ?? "");
    const text = line.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    const [first, second] = [codes.slice(0, 8).join(" "), codes.slice(8).join(" ")];
    lines.push(`${at.toString(16).padStart(8, "0")}  ${first.padEnd(23)}  ${second.padEnd(23)}  ${text.join("")}`);
  }
  return lines.join("\n");
};
