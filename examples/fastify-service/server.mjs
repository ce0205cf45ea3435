/*
 * A service that trains and predicts: node server.mjs
 *
 *   POST   /trainings             { csv, label, hidden?, epochs? } -> 202 { id }; one at a time, else 409
 *   GET    /trainings/:id/events  progress as server-sent events, from the first epoch to the end
 *   DELETE /trainings/:id         stops a training
 *   POST   /predictions           { rows: [{ column: value, ... }, ...] } -> classes with probabilities
 *   GET    /health                what is served, and whether a training runs
 *
 * A training that ends well is saved and takes the place of the model that was served until then, whose
 * requests still get their answers. PORT (default 3000; 0: any) and MODEL (default model.safetensors) are
 * read from the environment. SIGTERM stops a training, answers what was asked, and ends.
 */
import { existsSync } from 'node:fs';
import Fastify from 'fastify';
import { isSetNativeError, prepareAsync, readCsvAsync, SetNativeError, SparseMLP } from 'set-native';

const { PORT = '3000', MODEL = 'model.safetensors' } = process.env;
const app = Fastify({
  bodyLimit: 32 * 2 ** 20,
  forceCloseConnections: 'idle',
  ajv: { customOptions: { removeAdditional: false } }, // unknown keys are refused
});

let served = existsSync(MODEL) ? await SparseMLP.load(MODEL) : undefined;

/** Trainings by their numbers; the last one may run. A service that runs for long would keep a few only. */
const trainings = new Map();

class Training {
  events = [];
  listeners = new Set();
  controller = new AbortController();
  running = true;

  emit(event) {
    this.events.push(event);
    for (const listener of this.listeners) listener(event);
  }
}

async function train(training, { csv, label, hidden = [64, 64], epochs = 50 }) {
  const { signal } = training.controller;
  let model;
  try {
    const data = await readCsvAsync(csv, { label, missing: 'mean', signal });
    const { train, test, encoding } = await prepareAsync(data, { seed: 1, signal });
    const layers = [data.features, ...hidden, data.classes];
    model = await SparseMLP.create({ layers, epsilon: 4, optimizer: 'adamw', encoding });
    const options = { epochs, batchSize: 32, validation: test, signal };
    for await (const { epoch, trainLoss, validationAccuracy } of model.train(train, options))
      training.emit({ type: 'epoch', epoch, epochs, trainLoss, validationAccuracy });
    await model.save(MODEL, { optimizer: false, signal });
    const old = served;
    served = model; // from here on new requests are answered by it
    training.running = false;
    training.emit({ type: 'done' });
    await old?.close(); // those that were made are still answered by the old one
  } catch (error) {
    if (served !== model) model?.dispose();
    training.running = false;
    const isStopped = isSetNativeError(error, 'ERR_ABORTED');
    training.emit(
      isStopped ? { type: 'stopped' } : { type: 'failed', code: error.code, message: error.message },
    );
  }
}

app.post('/trainings', {
  schema: {
    body: {
      type: 'object',
      required: ['csv', 'label'],
      additionalProperties: false,
      properties: {
        csv: { type: 'string', pattern: '\n' }, // a text of one line would be taken for the name of a file
        label: { type: 'string' },
        hidden: {
          type: 'array',
          minItems: 1,
          maxItems: 4,
          items: { type: 'integer', minimum: 1, maximum: 4096 },
        },
        epochs: { type: 'integer', minimum: 1, maximum: 1000 },
      },
    },
  },
  handler(request, reply) {
    if ([...trainings.values()].some(({ running }) => running))
      return reply.code(409).send({ message: 'a training runs already' });
    const id = String(trainings.size + 1);
    const training = new Training();
    trainings.set(id, training);
    training.done = train(training, request.body);
    return reply.code(202).send({ id });
  },
});

/** The training of a request; answers 404 where there is none. */
function trainingOf(request, reply) {
  const training = trainings.get(request.params.id);
  if (training === undefined) reply.code(404).send({ message: `no training ${request.params.id}` });
  return training;
}

app.get('/trainings/:id/events', (request, reply) => {
  const training = trainingOf(request, reply);
  if (training === undefined) return reply;
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const listener = (event) => {
    reply.raw.write(`data: ${JSON.stringify(event)}\n\n`);
    if (event.type !== 'epoch') reply.raw.end();
  };
  for (const event of training.events) listener(event);
  if (!training.running) return;
  training.listeners.add(listener);
  reply.raw.on('close', () => training.listeners.delete(listener));
});

app.delete('/trainings/:id', async (request, reply) => {
  const training = trainingOf(request, reply);
  if (training === undefined) return reply;
  training.controller.abort();
  await training.done;
  return reply.code(204).send();
});

app.post('/predictions', {
  schema: {
    body: {
      type: 'object',
      required: ['rows'],
      properties: {
        rows: {
          type: 'array',
          minItems: 1,
          maxItems: 10_000,
          items: { anyOf: [{ type: 'object' }, { type: 'array' }] },
        },
      },
    },
  },
  async handler(request, reply) {
    if (served === undefined) return reply.code(503).send({ message: 'no model yet: POST /trainings' });
    // Requests that arrive together are computed together; a client that goes away takes back its own.
    const gone = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort();
    });
    return served.classify(request.body.rows, { signal: gone.signal });
  },
});

app.get('/health', () => ({
  status: 'ok',
  model: served && { layers: served.sizes, epochs: served.epochs, classes: served.encoding?.classNames },
  training: [...trainings.values()].some(({ running }) => running),
}));

const statuses = { ERR_BUSY: 503, ERR_DISPOSED: 503, ERR_INTERNAL: 500, ERR_OUT_OF_MEMORY: 503 };
app.setErrorHandler((error, _request, reply) => {
  const ours = error instanceof SetNativeError;
  const status = ours ? (statuses[error.code] ?? 400) : (error.statusCode ?? 500);
  reply.code(status).send({ code: error.code, message: error.message });
});

app.addHook('preClose', async () => {
  for (const { controller } of trainings.values()) controller.abort();
  await Promise.all([...trainings.values()].map(({ done }) => done));
});
app.addHook('onClose', () => served?.close()); // after the answers to all requests
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () =>
    app.close().catch((error) => {
      console.error(error);
      process.exitCode = 1;
    }),
  );
}

console.log(`listening on ${await app.listen({ port: Number(PORT), host: '127.0.0.1' })}`);
