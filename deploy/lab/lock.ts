// One change to a lab at a time. The lock is an abstract unix socket: the kernel gives it to one
// process and takes it back when that process ends, however it ends, so there are no stale locks.
import { createServer, type Server } from "node:net";
import { MeshError } from "../../mesh/core/errors.ts";

/** Throws `conflict` while another process changes the same lab. */
export async function withLabLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = await listen(name);
  try {
    return await work();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}

function listen(name: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const message = `Cannot change lab "${name}": another command is changing it right now`;
      const taken = new MeshError("conflict", message, { hint: "wait for it, or end it" });
      reject(cause.code === "EADDRINUSE" ? taken : cause);
    });
    server.listen(`\0tombolo-lab-${name}`, () => resolve(server));
  });
}
