// Opens the namespaces that it is given and prints what it was told of each: for tests that take
// rights or descriptors away from it first.
import { openNamespaces } from "../../agent/flows/open-namespaces.ts";

const opened = await openNamespaces(process.argv.slice(2));
for (const answer of opened) {
  console.log("problem" in answer ? answer.problem : "open");
  if (!("problem" in answer)) answer.socket.close();
}
