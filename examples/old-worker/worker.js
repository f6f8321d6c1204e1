// The worker that the tutorial takes over from: kafkajs, one INSERT a message, and an insert that fails is logged.
//
//   npm install kafkajs pg
//   DATABASE_URL=postgres://… BROKERS=localhost:9092 node worker.js
'use strict';

const { Kafka, logLevel } = require('kafkajs');
const { Pool } = require('pg');

const database = new Pool({ connectionString: process.env.DATABASE_URL });
const kafka = new Kafka({ clientId: 'purchase-worker', brokers: process.env.BROKERS.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: 'purchase-creation-workers', maxWaitTimeInMs: 200 });

async function eachMessage({ message }) {
  const { data } = JSON.parse(message.value);
  try {
    await database.query(
      'INSERT INTO enrolment (payment_id, buyer_id, course, amount_cents, currency) VALUES ($1, $2, $3, $4, $5)',
      [data.paymentId, data.buyerId, data.course, data.amountCents, data.currency],
    );
    console.log(`enrolled buyer ${data.buyerId} for payment ${data.paymentId}`);
  } catch (error) {
    // It goes on, and kafkajs commits past the message. Nobody reads this line.
    console.log(`payment ${data.paymentId}: ${error.message}`);
  }
}

process.on('SIGTERM', async () => {
  await consumer.disconnect();
  await database.end();
});

(async () => {
  await consumer.connect();
  await consumer.subscribe({ topic: 'purchase-confirmed', fromBeginning: true });
  await consumer.run({ eachMessage });
})();
