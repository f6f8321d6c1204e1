"""The payment side in Python: a payment and its event in one transaction.

    pip install psycopg2-binary                       (on Debian also: apt-get install python3-psycopg2)
    DATABASE_URL=postgres://… python3 pay.py STUDENT COURSE AMOUNT CURRENCY

TRACEPARENT, if set, is passed on, so that the purchase belongs to the same trace.

The role needs INSERT on payments, and makegood_publisher. No Kafka client, and makegood need not be running.
"""

import json
import os
import sys
import uuid
from datetime import datetime, timezone

import psycopg2

TOPIC = os.environ.get("TOPIC", "purchase-confirmed")


def pay(connection, student, course, amount, currency, traceparent=None):
    """Writes a payment and publishes its event: both, or neither. Returns the ids of the two.

    In a web service traceparent is what OpenTelemetry's propagator injects: propagate.inject(headers).
    """
    payment = str(uuid.uuid4())
    # Money is a text in JSON; a float would lose paise.
    data = {
        "paymentId": payment,
        "studentId": student,
        "courseId": course,
        "amount": amount,
        "currency": currency,
    }
    event = {"occurredAt": datetime.now(timezone.utc).isoformat(), "data": data}
    headers = {"traceparent": traceparent} if traceparent else {}
    # Commits at the end, and rolls back after an error.
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES (%s, %s, %s, %s, %s)",
            (payment, student, course, amount, currency),
        )
        # Topic, key, type, payload, headers. Events of one key arrive in order.
        cursor.execute(
            "SELECT makegood.publish(%s, %s, %s, %s, %s)",
            (TOPIC, student, "PURCHASE_CONFIRMED", json.dumps(event), json.dumps(headers)),
        )
        return {"payment": payment, "event": cursor.fetchone()[0]}


if __name__ == "__main__":
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    print(json.dumps(pay(connection, *sys.argv[1:5], os.environ.get("TRACEPARENT"))))
    connection.close()
