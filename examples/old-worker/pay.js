// The payment service from before makegood: it commits a payment, and then sends the event.
//
//   DATABASE_URL=postgres://… BROKERS=localhost:9092 node pay.js BUYER COURSE CENTS …
'use strict';

const { randomUUID } = require('crypto');
const { Kafka, logLevel, Partitioners } = require('kafkajs');
const { Client } = require('pg');

const kafka = new Kafka({ clientId: 'shop', brokers: process.env.BROKERS.split(','), logLevel: logLevel.ERROR });

(async () => {
  const database = new Client({ connectionString: process.env.DATABASE_URL });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await Promise.all([database.connect(), producer.connect()]);
  for (let rest = process.argv.slice(2); rest.length; rest = rest.slice(3)) {
    const [buyerId, course, amountCents] = [Number(rest[0]), rest[1], Number(rest[2])];
    const paid = await database.query(
      "INSERT INTO payment (buyer_id, course, amount_cents, currency, state) VALUES ($1, $2, $3, 'INR', 'PAID') RETURNING id",
      [buyerId, course, amountCents],
    );
    const paymentId = Number(paid.rows[0].id);
    const event = {
      eventId: randomUUID(), eventType: 'PURCHASE_CONFIRMED',
      data: { paymentId, buyerId, course, amountCents, currency: 'INR' },
    };
    await producer.send({ topic: 'purchase-confirmed', messages: [{ key: String(buyerId), value: JSON.stringify(event) }] });
    console.log(`payment ${paymentId} of buyer ${buyerId}`);
  }
  await Promise.all([database.end(), producer.disconnect()]);
})();
