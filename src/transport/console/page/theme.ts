/**
 * Runs before the page is drawn: the colours that were chosen last time, so that nothing flashes.
 * @module
 */
import { applyTheme, storedTheme } from "./theme-choice.ts";

applyTheme(storedTheme());
