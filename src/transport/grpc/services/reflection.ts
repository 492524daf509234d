/**
 * Server reflection, v1 and v1alpha, so that tools such as grpcurl work without the proto files. It tells what the public
 * proto files tell, and needs no token. The descriptors are read when somebody asks for the first time.
 * Format: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 * @module
 */
import { StreamError } from "../../../core/errors.ts";
import { type Descriptors, loadDescriptors } from "../descriptors.ts";
import type { GrpcCall, MessageReceiver, Route } from "../method.ts";
import { delimitedSize, ProtoReader, ProtoWriter } from "../protobuf.ts";
import { grpcStatus } from "../status.ts";

/** `ServerReflectionRequest` by its fields. */
const ask = { fileByName: 3, fileOfSymbol: 4, fileOfExtension: 5, extensionNumbers: 6, listServices: 7 } as const;
/** `ServerReflectionResponse` likewise. */
const answer = { files: 4, extensionNumbers: 5, services: 6, error: 7 } as const;

interface Question {
  readonly field: number;
  readonly text: string;
}

const readQuestion = (bytes: Buffer): Question => {
  const reader = new ProtoReader(bytes);
  let question: Question = { field: 0, text: "" };
  while (reader.next()) {
    const { field } = reader;
    if (field === ask.fileOfExtension) {
      reader.skip();
      question = { field, text: "" };
    } else if (field >= ask.fileByName && field <= ask.listServices) question = { field, text: reader.string() };
    else reader.skip();
  }
  return question;
};

const filesAnswer = (files: readonly Buffer[]): Buffer => {
  const writer = new ProtoWriter();
  for (const file of files) writer.presentBytes(1, file);
  return writer.done();
};

const servicesAnswer = (names: readonly string[]): Buffer => {
  const writer = new ProtoWriter();
  for (const name of names) writer.presentBytes(1, new ProtoWriter().string(1, name).done());
  return writer.done();
};

const notFound = (what: string): readonly [field: number, body: Buffer] => [
  answer.error,
  new ProtoWriter().number(1, grpcStatus.NOT_FOUND).string(2, `${what} is not found.`).done(),
];

const reply = ({ field, text }: Question, descriptors: Descriptors): readonly [field: number, body: Buffer] => {
  switch (field) {
    case ask.listServices:
      return [answer.services, servicesAnswer(descriptors.services)];
    case ask.fileByName: {
      const files = descriptors.byFile(text);
      return files === undefined ? notFound(`The file ${text}`) : [answer.files, filesAnswer(files)];
    }
    case ask.fileOfSymbol: {
      const files = descriptors.bySymbol(text);
      return files === undefined ? notFound(`The symbol ${text}`) : [answer.files, filesAnswer(files)];
    }
    case ask.extensionNumbers:
      return descriptors.bySymbol(text) === undefined
        ? notFound(`The type ${text}`)
        : [answer.extensionNumbers, new ProtoWriter().string(1, text).done()];
    case ask.fileOfExtension:
      return notFound("The extension");
    default:
      throw new StreamError("malformed_request", "The request asks nothing.");
  }
};

const frameReply = (request: Buffer, [field, body]: readonly [field: number, body: Buffer]): Buffer => {
  const length = (request.length === 0 ? 0 : delimitedSize(request.length)) + delimitedSize(body.length);
  return new ProtoWriter(length + 16).framePrefix(length).bytes(2, request).presentBytes(field, body).done();
};

let loaded: Descriptors | undefined;

const open = (call: GrpcCall): MessageReceiver => ({
  message(request) {
    // Whoever asks and asks without reading the answers gets no more of them.
    if (!call.writable) throw new StreamError("overloaded", "The answers are not read.");
    loaded ??= loadDescriptors();
    call.send(frameReply(request, reply(readQuestion(request), loaded)));
  },
  ended: () => call.end(),
});

/** The methods of both versions, which have the same messages. */
export const reflectionRoutes: readonly Route[] = ["v1", "v1alpha"].map((version) => ({
  path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
  open: true,
  method: { kind: "bidi", open },
}));
