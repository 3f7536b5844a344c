// Turns TypeScript into JavaScript for Jest the way Node itself does when it runs a .ts file:
// types become blanks, so lines and columns in stack traces stay true. No compiler, no options.
import { stripTypeScriptTypes } from "node:module";

export default {
  process(sourceText) {
    return { code: stripTypeScriptTypes(sourceText, { mode: "strip" }) };
  },
};
