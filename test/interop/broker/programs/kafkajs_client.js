// kafkajs as harness/group.py wants it: create, produce, member.
'use strict';

const kafkajs = require('kafkajs');
const lz4 = require('lz4js');
const xxh32 = require('lz4js/xxh32.js');
const snappy = require('snappyjs');
const { ZstdCodec } = require('zstd-codec');

const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = kafkajs;
const types = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

// Java's snappy writes a stream of blocks behind a header of 16 bytes; others write one plain block.
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);

function unsnappy(data) {
  if (!data.subarray(0, 8).equals(XERIAL)) {
    return Buffer.from(snappy.uncompress(data));
  }
  const blocks = [];
  for (let at = 16; at < data.length; ) {
    const size = data.readUInt32BE(at);
    blocks.push(Buffer.from(snappy.uncompress(data.subarray(at + 4, at + 4 + size))));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}

// The library marks its blocks as dependent on each other, which Kafka refuses; a batch is one block, so none depends.
function toLz4(data) {
  const frame = Buffer.from(lz4.compress(data));
  frame[4] |= 0x20;
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff;
  return frame;
}

function addCodecs() {
  return new Promise((resolve) => {
    ZstdCodec.run((zstd) => {
      const stream = new zstd.Streaming();
      CompressionCodecs[CompressionTypes.ZSTD] = () => ({
        compress: async (encoder) => Buffer.from(stream.compress(encoder.buffer)),
        decompress: async (data) => Buffer.from(stream.decompress(data)),
      });
      CompressionCodecs[CompressionTypes.LZ4] = () => ({
        compress: async (encoder) => toLz4(encoder.buffer),
        decompress: async (data) => Buffer.from(lz4.decompress(data)),
      });
      CompressionCodecs[CompressionTypes.Snappy] = () => ({
        compress: async (encoder) => Buffer.from(snappy.compress(encoder.buffer)),
        decompress: async (data) => unsnappy(data),
      });
      resolve();
    });
  });
}

// Longer than a machine stands still.
const PATIENT_MS = 120000;

function open(bootstrap) {
  return new Kafka({
    clientId: 'interop',
    brokers: [bootstrap],
    logLevel: logLevel.ERROR,
    connectionTimeout: PATIENT_MS,
    requestTimeout: PATIENT_MS,
    retry: { initialRetryTime: 100, retries: 30, maxRetryTime: 1000 },
  });
}

async function create(bootstrap, topic, partitions) {
  const admin = open(bootstrap).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: Number(partitions) }], waitForLeaders: true, timeout: PATIENT_MS });
  await admin.disconnect();
}

async function produce(bootstrap, topic, codecs, first, count) {
  const producer = open(bootstrap).producer({
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  let number = Number(first);
  for (const codec of codecs.split(',')) {
    let messages = [];
    const last = number + Number(count);
    for (; number < last; number++) {
      messages.push({
        key: `key-${number}`,
        value: number % 1000 === 999 ? null : `value-${number}-` + 'x'.repeat(number % 97),
        headers: { number: String(number), codec, bytes: Buffer.from([0, 255]) },
      });
      if (messages.length === 500 || number + 1 === last) {
        await producer.send({ topic, messages, acks: -1, compression: types[codec] });
        messages = [];
      }
    }
  }
  await producer.disconnect();
}

async function member(bootstrap, topic, groupId) {
  const consumer = open(bootstrap).consumer({
    groupId,
    heartbeatInterval: 300,
    sessionTimeout: PATIENT_MS,
    maxWaitTimeInMs: 300,
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    console.log('assigned\t' + (payload.memberAssignment[topic] || []).sort().join(','));
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch, resolveOffset, isRunning, isStale }) => {
      if (!isRunning() || isStale()) {
        return;
      }
      const lines = batch.messages.map((m) => {
        const headers = Object.entries(m.headers).map(([name, data]) => `${name}=${Buffer.from(data).toString('hex')}`);
        return ['rec', batch.partition, m.offset, m.key, m.value === null ? '\\N' : m.value, headers.join(';')].join('\t');
      });
      console.log(lines.join('\n'));
      resolveOffset(batch.lastOffset());
      const offset = String(BigInt(batch.lastOffset()) + 1n);
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }]);
    },
  });
  await new Promise((resolve) => process.stdin.on('end', resolve).on('data', resolve).resume());
  await consumer.disconnect();
  console.log('bye');
}

addCodecs()
  .then(() => ({ create, produce, member })[process.argv[2]](...process.argv.slice(3)))
  .then(() => process.exit(0))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
