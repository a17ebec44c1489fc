// Sends one task call, as a hub written for Node would. Standard input: {broker, queue, protocol,
// task, args}.
"use strict";

const fs = require("node:fs");
const celery = require("celery-node");

async function main() {
  const { broker, queue, protocol, task, args } = JSON.parse(fs.readFileSync(0, "utf-8"));
  // A client wants a place for results; nothing is read from it.
  const client = celery.createClient(broker, broker, queue);
  client.conf.TASK_PROTOCOL = protocol;
  await client.isReady();
  client.createTask(task).applyAsync(args);
  // It sends as soon as it is ready once more, and says nothing of it.
  await client.isReady();
  await client.disconnect();
}

main();
