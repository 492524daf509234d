/**
 * An image, from bytes that were found to be one: through an address of its own that ends with the view.
 * @module
 */
import { fill, h, setText } from "../dom.ts";

/** @param type by its bytes, never what the publisher said */
export const imageView = (bytes: Uint8Array<ArrayBuffer>, type: string, signal: AbortSignal): HTMLElement => {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  const caption = h("figcaption", {}, type);
  const image = h("img", {
    src: url,
    alt: "The body of this message, an image",
    on: {
      load: () => setText(caption, `${type}, ${image.naturalWidth} × ${image.naturalHeight}`),
      error: () =>
        fill(figure, h("p", { class: "notice" }, "These bytes begin like an image but are none that can be drawn.")),
    },
  });
  const figure = h("figure", { class: "image" }, image, caption);
  return figure;
};
