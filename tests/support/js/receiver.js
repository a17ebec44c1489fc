// A receiver as somebody else writes it: verifies each message with the published library of
// Standard Webhooks, and tells on standard output what it has found, a line of JSON each.
//
//   node receiver.js whsec_…    # the first line tells the port
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.argv[2]);
const tell = (found) => process.stdout.write(`${JSON.stringify(found)}\n`);

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const id = request.headers["webhook-id"];
    try {
      tell({ id, message: webhook.verify(Buffer.concat(parts).toString("utf8"), request.headers) });
      response.writeHead(204).end();
    } catch (error) {
      tell({ id, error: error.message });
      response.writeHead(400).end();
    }
  });
});
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));
