// The payment side in Go: a payment and its event in one transaction.
//
//	DATABASE_URL=postgres://… go run . STUDENT COURSE AMOUNT CURRENCY
//
// TRACEPARENT, if set, is passed on, so that the purchase belongs to the same trace.
//
// The role needs INSERT on payments, and makegood_publisher. No Kafka client, and makegood need not be running.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// The ids of a payment and of its event.
type paid struct {
	Payment string `json:"payment"`
	Event   string `json:"event"`
}

// pay writes a payment and publishes its event: both, or neither. In a web service headers are what OpenTelemetry's
// propagator injects: otel.GetTextMapPropagator().Inject(ctx, propagation.MapCarrier(headers)).
func pay(ctx context.Context, db *pgx.Conn, student, course, amount, currency string, headers map[string]string) (paid, error) {
	var ids paid
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		insert := `INSERT INTO payments (id, student_id, course_id, amount, currency)
			VALUES (gen_random_uuid(), $1::text::uuid, $2::text::uuid, $3::text::numeric, $4) RETURNING id::text`
		if err := tx.QueryRow(ctx, insert, student, course, amount, currency).Scan(&ids.Payment); err != nil {
			return err
		}
		// Money is a text in JSON; a float would lose paise.
		event, err := json.Marshal(map[string]any{
			"occurredAt": time.Now().UTC(),
			"data": map[string]string{"paymentId": ids.Payment, "studentId": student, "courseId": course,
				"amount": amount, "currency": currency},
		})
		if err != nil {
			return err
		}
		headersJSON, err := json.Marshal(headers)
		if err != nil {
			return err
		}
		topic := os.Getenv("TOPIC")
		if topic == "" {
			topic = "purchase-confirmed"
		}
		// Topic, key, type, payload, headers. Events of one key arrive in order.
		publish := "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb, $4::text::jsonb)::text"
		return tx.QueryRow(ctx, publish, topic, student, string(event), string(headersJSON)).Scan(&ids.Event)
	})
	return ids, err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 5 {
		return fmt.Errorf("usage: pay STUDENT COURSE AMOUNT CURRENCY")
	}
	ctx := context.Background()
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	headers := map[string]string{}
	if trace := os.Getenv("TRACEPARENT"); trace != "" {
		headers["traceparent"] = trace
	}
	ids, err := pay(ctx, db, os.Args[1], os.Args[2], os.Args[3], os.Args[4], headers)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(ids)
}
