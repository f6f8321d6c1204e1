// The payment side in Node: a payment and its event in one transaction.
//
//   npm install pg                                    (on Debian also: apt-get install node-pg)
//   DATABASE_URL=postgres://… node pay.js STUDENT COURSE AMOUNT CURRENCY
//
// TRACEPARENT, if set, is passed on, so that the purchase belongs to the same trace.
//
// The role needs INSERT on payments, and makegood_publisher. No Kafka client, and makegood need not be running.
'use strict';

const { randomUUID } = require('crypto');
const { Client } = require('pg');

const TOPIC = process.env.TOPIC || 'purchase-confirmed';

/**
 * Writes a payment and publishes its event: both, or neither. Returns the ids of the two. In a web service traceparent is
 * what OpenTelemetry's propagator injects: propagation.inject(context.active(), headers).
 */
async function pay(client, student, course, amount, currency, traceparent) {
  const payment = randomUUID();
  // Money is a text in JSON; a float would lose paise.
  const event = {
    occurredAt: new Date().toISOString(),
    data: { paymentId: payment, studentId: student, courseId: course, amount, currency },
  };
  await client.query('BEGIN');
  try {
    await client.query(
      'INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES ($1, $2, $3, $4, $5)',
      [payment, student, course, amount, currency],
    );
    const headers = traceparent ? { traceparent } : {};
    // Topic, key, type, payload, headers. Events of one key arrive in order.
    const published = await client.query(
      'SELECT makegood.publish($1, $2, $3, $4, $5) AS id',
      [TOPIC, student, 'PURCHASE_CONFIRMED', JSON.stringify(event), JSON.stringify(headers)],
    );
    await client.query('COMMIT');
    return { payment, event: published.rows[0].id };
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    const [student, course, amount, currency] = process.argv.slice(2);
    console.log(JSON.stringify(await pay(client, student, course, amount, currency, process.env.TRACEPARENT)));
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
