/**
 * The question for a token, where the server asks for one, and why the last one was refused. The token is kept for this
 * tab alone and leaves with it.
 * @module
 */
import { type Api, Problem } from "./api.ts";
import { fill, h } from "./dom.ts";
import { errorBox, field, heading } from "./view.ts";

const key = "mts-token";

/** The token of this tab. */
export const storedToken = (): string | undefined => sessionStorage.getItem(key) ?? undefined;

/** Remembers it, or with undefined forgets it. */
export const storeToken = (token: string | undefined): void => {
  if (token === undefined) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, token);
};

/** Whether the server lets this token in (undefined: none). @throws Problem with the reason when it does not */
export const checkToken = async (api: Api, token: string | undefined): Promise<void> => {
  api.token = token;
  try {
    await api.json("v1/subjects", { limit: 1 });
  } catch (error) {
    // Who may not list subjects is known all the same.
    if (!(error instanceof Problem) || error.status !== 403 || error.code !== "permission_denied") throw error;
  }
};

/** Asks until there is a token that the server takes. @param refused why the one before was not */
export const askForToken = (root: HTMLElement, api: Api, refused: unknown): Promise<string> =>
  new Promise((resolve) => {
    const input = h("textarea", {
      id: "token",
      rows: 4,
      required: true,
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "off",
      class: "code",
    });
    const said = h("div");
    const button = h("button", { type: "submit", class: "primary" }, "Sign in");
    const submit = async (): Promise<void> => {
      const token = input.value.trim().replace(/^Bearer\s+/i, "");
      button.disabled = true;
      try {
        // What cannot stand in a header would fail without a reason.
        if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("A token has letters, digits and signs only, no spaces.");
        await checkToken(api, token);
        storeToken(token);
        resolve(token);
      } catch (error) {
        fill(said, errorBox(error));
        input.focus();
      } finally {
        button.disabled = false;
      }
    };
    const form = h(
      "form",
      {
        class: "gate",
        on: {
          submit: (event) => {
            event.preventDefault();
            void submit();
          },
        },
      },
      heading("This server asks for a token"),
      h(
        "p",
        {},
        "What you see and may do here is what the token grants. It is kept in this tab only, until you close it.",
      ),
      said,
      field("Token", input, "A JSON Web Token, as programs send it behind “Authorization: Bearer”."),
      h("div", { class: "actions" }, button),
    );
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      form.requestSubmit();
    });
    if (refused !== undefined) fill(said, errorBox(refused));
    fill(root, form);
    input.focus();
  });
