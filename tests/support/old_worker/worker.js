// The worker that makegood takes over from, as people have it: kafkajs, one INSERT a message, no inbox, offsets
// committed by kafkajs by itself. The tests of tests/servers/takeover.rs run it.
//
// ON_ERROR: `skip` logs an insert that failed and goes on, and kafkajs commits past the message; `throw` leaves it to
// kafkajs, which tries again and then starts its consumer anew.
'use strict';

const { Kafka, logLevel } = require('kafkajs');
const { Pool } = require('pg');

const { BROKERS, TOPIC, GROUP, DATABASE_URL, CLIENT_ID, ON_ERROR, SESSION_TIMEOUT } = process.env;

const database = new Pool({ connectionString: DATABASE_URL });
const kafka = new Kafka({ clientId: CLIENT_ID, brokers: BROKERS.split(','), logLevel: logLevel.INFO });
const consumer = kafka.consumer({
  groupId: GROUP,
  sessionTimeout: Number(SESSION_TIMEOUT),
  heartbeatInterval: Number(SESSION_TIMEOUT) / 4,
  // kafkajs' own rules, with shorter pauses.
  maxWaitTimeInMs: 200,
  retry: { initialRetryTime: 50, retries: 3 },
});

async function eachMessage({ partition, message }) {
  const { eventId, occurredAt, data } = JSON.parse(message.value);
  try {
    await database.query(
      `INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id, purchased_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      [data.paymentId, data.studentId, data.courseId, data.amount, data.currency, eventId, occurredAt],
    );
    console.log(`made ${partition} ${message.offset} ${data.paymentId}`);
  } catch (error) {
    console.log(`failed ${partition} ${message.offset} ${data.paymentId} ${error.message}`);
    if (ON_ERROR !== 'skip') throw error;
  }
}

async function main() {
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: false });
  // Without a committed offset kafkajs looks for the end of the log only now; what came before is not for it.
  let joins = false;
  consumer.on(consumer.events.GROUP_JOIN, () => { joins = true; });
  consumer.on(consumer.events.FETCH, () => {
    if (joins) console.log('reads');
    joins = false;
  });
  consumer.on(consumer.events.CRASH, ({ payload }) =>
    console.log(`crashed ${payload.restart ? 'and starts again' : 'for good'}: ${payload.error.message}`));
  await consumer.run({ eachMessage });
}

process.on('SIGTERM', async () => {
  await consumer.disconnect();
  await database.end();
  process.exit(0);
});

main().catch((error) => {
  console.log(`cannot start: ${error.message}`);
  process.exit(1);
});
