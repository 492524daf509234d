/**
 * The certificate of a server, read from its two files, and read again when they change: whoever renews it (certbot,
 * cert-manager, a person) need not stop the server.
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { TlsChoice } from "./config-shape.ts";
import type { Logger } from "./log.ts";

/** Both in PEM; `cert` has the whole chain, the server's own first. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** The files are no certificate and its key; the message names the file and what is wrong. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/**
 * Between two looks at the files. Looking costs next to nothing, and unlike notifications of the file system it works on
 * every one of them and through the symbolic links that Kubernetes swaps.
 */
const lookMsDefault = 2000;

/** Reads and checks both files. @throws CertificateError */
export const readCertificate = async (files: TlsChoice): Promise<Certificate> => check(files, await read(files));

const read = async ({ certPath, keyPath }: TlsChoice): Promise<Certificate> => {
  const text = (setting: string, path: string): Promise<string> =>
    readFile(path, "utf8").catch((error: unknown) => {
      throw new CertificateError(`${setting}: ${path} cannot be read: ${messageOf(error)}`);
    });
  const [cert, key] = await Promise.all([text("tls_cert", certPath), text("tls_key", keyPath)]);
  return { cert, key };
};

/** @throws CertificateError */
const check = ({ certPath, keyPath }: TlsChoice, certificate: Certificate): Certificate => {
  const named = <T>(path: string, what: string, parse: () => T): T => {
    try {
      return parse();
    } catch {
      throw new CertificateError(`${path} is no ${what} in PEM`);
    }
  };
  const own = named(certPath, "certificate", () => new X509Certificate(certificate.cert));
  const key = named(keyPath, "private key without a passphrase", () => createPrivateKey(certificate.key));
  if (!own.checkPrivateKey(key)) throw new CertificateError(`the key in ${keyPath} does not belong to ${certPath}`);
  return certificate;
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What is told of a certificate; nothing of its key. */
const facts = ({ cert }: Certificate) => {
  const { validTo, fingerprint256 } = new X509Certificate(cert);
  return { valid_to: validTo, fingerprint: fingerprint256 };
};

/** How to watch. */
export interface WatchOptions {
  readonly files: TlsChoice;
  /** The one in use. */
  readonly current: Certificate;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Puts a checked one into use. */
  readonly onChange: (certificate: Certificate) => void;
  /** Between two looks, in milliseconds; 2 s when not given. */
  readonly lookMs?: number;
}

/**
 * Looks at the files from now on. What is not a certificate and its key (half replaced, or simply wrong) is logged once
 * and the one before stays in use. Answers what ends it.
 */
export const watchCertificate = (options: WatchOptions): (() => void) => {
  const { files, log, onChange } = options;
  let seen = JSON.stringify(options.current);
  let complaint = "";
  let isLooking = false;
  const look = async (): Promise<void> => {
    try {
      const found = await read(files);
      if (JSON.stringify(found) === seen) return;
      onChange(check(files, found));
      seen = JSON.stringify(found);
      complaint = "";
      log.info("certificate_changed", facts(found));
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== complaint) log.warn("certificate_refused", { problem, detail: "The one before stays in use." });
      complaint = problem;
    }
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => {
      isLooking = false;
    });
  }, options.lookMs ?? lookMsDefault);
  timer.unref();
  return () => clearInterval(timer);
};
