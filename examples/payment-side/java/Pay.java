// The payment side in Java: a payment and its event in one transaction.
//
//   DATABASE_URL=jdbc:postgresql://… java -cp postgresql-42.7.4.jar Pay.java STUDENT COURSE AMOUNT CURRENCY
//
// TRACEPARENT, if set, is passed on, so that the purchase belongs to the same trace.
//
// The role needs INSERT on payments, and makegood_publisher. No Kafka client, and makegood need not be running.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.UUID;

public class Pay {
    /** The ids of a payment and of its event. */
    record Paid(UUID payment, UUID event) {}

    static final String INSERT =
        "INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES (?, ?, ?, ?::numeric, ?)";

    // Topic, key, type, payload, headers. Events of one key arrive in order. PostgreSQL makes the JSON, so that no library is
    // needed for it; money is a text in it, for a float would lose paise.
    static final String PUBLISH = """
        SELECT makegood.publish(?, ?, 'PURCHASE_CONFIRMED',
          jsonb_build_object('occurredAt', ?::text, 'data', jsonb_build_object('paymentId', ?::text, 'studentId', ?::text,
            'courseId', ?::text, 'amount', ?::text, 'currency', ?::text)),
          jsonb_strip_nulls(jsonb_build_object('traceparent', ?::text)))
        """;

    /** Writes a payment and publishes its event: both, or neither. */
    static Paid pay(Connection db, UUID student, UUID course, String amount, String currency, String traceparent)
            throws SQLException {
        UUID payment = UUID.randomUUID();
        db.setAutoCommit(false);
        try (PreparedStatement insert = db.prepareStatement(INSERT);
                PreparedStatement publish = db.prepareStatement(PUBLISH)) {
            set(insert, payment, student, course, amount, currency);
            insert.executeUpdate();
            String topic = System.getenv().getOrDefault("TOPIC", "purchase-confirmed");
            set(publish, topic, student.toString(), Instant.now().toString(), payment.toString(), student.toString(),
                course.toString(), amount, currency, traceparent);
            UUID event;
            try (ResultSet row = publish.executeQuery()) {
                row.next();
                event = row.getObject(1, UUID.class);
            }
            db.commit();
            return new Paid(payment, event);
        } catch (SQLException error) {
            db.rollback();
            throw error;
        }
    }

    static void set(PreparedStatement statement, Object... values) throws SQLException {
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
    }

    public static void main(String[] args) throws SQLException {
        try (Connection db = DriverManager.getConnection(System.getenv("DATABASE_URL"))) {
            Paid ids = pay(db, UUID.fromString(args[0]), UUID.fromString(args[1]), args[2], args[3],
                System.getenv("TRACEPARENT"));
            System.out.printf("{\"payment\": \"%s\", \"event\": \"%s\"}%n", ids.payment(), ids.event());
        }
    }
}
