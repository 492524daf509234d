/**
 * Light or dark: as the system has it, until somebody chooses.
 * @module
 */

/** What can be chosen. */
export type Theme = "auto" | "light" | "dark";

const key = "mts-theme";

/** The choice of last time; `auto` where there is none. */
export const storedTheme = (): Theme => {
  try {
    const stored = localStorage.getItem(key);
    return stored === "light" || stored === "dark" ? stored : "auto";
  } catch {
    // Storage can be switched off.
    return "auto";
  }
};

/** Remembers the choice. */
export const storeTheme = (theme: Theme): void => {
  try {
    if (theme === "auto") localStorage.removeItem(key);
    else localStorage.setItem(key, theme);
  } catch {
    // Then it lasts as long as the page.
  }
};

/** Shows the page in it. */
export const applyTheme = (theme: Theme): void => {
  const { dataset } = document.documentElement;
  if (theme === "auto") delete dataset["theme"];
  else dataset["theme"] = theme;
};
