//! The one place with `unsafe`: what rdkafka does not wrap, or wraps in a way that can panic.
//!
//! * Headers as bytes: rdkafka 0.39 unwraps a UTF-8 check on header names, and no broker validates
//!   them, so one hostile record would crash the process at the same offset for ever.
//! * The end of a log as the client knows it: only asking the broker is wrapped.
//! * The members of a group: their names come from other clients, and rdkafka unwraps them likewise.
//! * A token for a client that is not polled: rdkafka sets one only when it is asked for it.
//! * Topic ids: librdkafka has `DescribeTopics` (KIP-516), rdkafka has no wrapper for it.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka_sys as sys;
use uuid::Uuid;

use rules::assignment;
use rules::checkup::group::{Group, Member};
use rules::ids::Offset;
use rules::record::Header;

/// The message's headers in order; none if it has none.
pub(super) fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let mut list = ptr::null_mut();
    // SAFETY: `message.ptr()` is valid while `message` is borrowed. librdkafka parses the headers on
    // first use and keeps them in the message, so the list lives as long as the message does.
    let error = unsafe { sys::rd_kafka_message_headers(message.ptr(), &mut list) };
    if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Vec::new();
    }
    let mut headers = Vec::new();
    loop {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `list` is the message's own header list (above); an index past its end is answered
        // with an error and leaves the out pointers alone.
        let error = unsafe {
            sys::rd_kafka_header_get_all(list, headers.len(), &mut name, &mut value, &mut size)
        };
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return headers;
        }
        // SAFETY: librdkafka ends names with a NUL, and `value` is null or `size` bytes long; both
        // are copied before the message is given back.
        headers.push(unsafe {
            Header {
                name: CStr::from_ptr(name).to_bytes().to_vec(),
                value: (!value.is_null())
                    .then(|| std::slice::from_raw_parts(value.cast::<u8>(), size).to_vec()),
            }
        });
    }
}

/// The epoch of the leader that took the message; negative where the log does not say, as in the formats before
/// Kafka 0.11.
pub(super) fn leader_epoch(message: &BorrowedMessage<'_>) -> i32 {
    // SAFETY: `message.ptr()` is valid while `message` is borrowed, and the call only reads a number of it.
    unsafe { sys::rd_kafka_message_leader_epoch(message.ptr()) }
}

/// Gives a client a token for SASL OAUTHBEARER, valid until a time in milliseconds since 1970.
pub(super) fn set_token<C: ClientContext>(
    client: &Client<C>,
    token: &str,
    until: i64,
    principal: &str,
) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| "the token has a NUL".to_owned());
    let (token, principal) = (text(token)?, text(principal)?);
    let mut said: [c_char; 256] = [0; 256];
    // SAFETY: the client lives while it is borrowed; the texts end with a NUL and are copied by the call, there are no
    // extensions, and at most `said.len()` bytes with a NUL at their end are written to `said`.
    let code = unsafe {
        sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            token.as_ptr(),
            until,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            said.as_mut_ptr(),
            said.len(),
        )
    };
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: `said` was all zeros, and what the call wrote ends with a NUL within it.
    Err(unsafe { CStr::from_ptr(said.as_ptr()) }.to_string_lossy().into_owned())
}

/// What a client has to say of a partition next.
pub(super) enum Said {
    /// The first record at or after the offset that was asked for.
    Record,
    /// There is none.
    End,
    /// The batch that begins at this offset could not be read, and why in the client's words.
    Unread(Offset, String),
}

/// Waits for what the client has to say of `partition`, for at most `timeout`. Nothing else may be assigned to it.
/// rdkafka leaves out where an error is.
pub(super) fn listen<C: ClientContext>(
    client: &Client<C>,
    partition: i32,
    timeout: Duration,
) -> Option<Said> {
    const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client is alive while it is borrowed; the message is this function's own, everything is copied out
    // of it, and it is destroyed once. Its errstr is its own, too, or static.
    unsafe {
        let message = sys::rd_kafka_consumer_poll(client.native_ptr(), millis);
        if message.is_null() {
            return None;
        }
        let said = match (*message).err {
            _ if (*message).rkt.is_null() || (*message).partition != partition => None,
            NO_ERROR => Some(Said::Record),
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Some(Said::End),
            _ => {
                let words = text(sys::rd_kafka_message_errstr(message));
                Some(Said::Unread(Offset((*message).offset), words))
            }
        };
        sys::rd_kafka_message_destroy(message);
        said
    }
}

/// Where a partition's log ended when the client last heard of it, open transactions included; `None`
/// if it never did. Asks nobody.
pub(super) fn known_end<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> Option<Offset> {
    let name = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive while it is borrowed, the name lives until after the call, and the
    // out pointers are to locals.
    let error = unsafe {
        let rk = client.native_ptr();
        sys::rd_kafka_get_watermark_offsets(rk, name.as_ptr(), partition, &mut low, &mut high)
    };
    (error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0)
        .then_some(Offset(high))
}

/// The topic's id; `None` when the broker has none to give (before Kafka 2.8). An error means that
/// nothing is known, which is not the same. `broker` is the one to ask, a negative number for the
/// controller. Blocks for at most a second more than `timeout`.
pub(super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    broker: i32,
    timeout: Duration,
) -> Result<Option<Uuid>, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    // SAFETY: each object made here is destroyed below, once, on every path; the queue is used by
    // nobody else; names are copied by librdkafka. The event owns the result, and the id is copied
    // out before the event is destroyed.
    unsafe {
        let rk = client.native_ptr();
        let queue = sys::rd_kafka_queue_new(rk);
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let options = sys::rd_kafka_AdminOptions_new(
            rk,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis, ptr::null_mut(), 0);
        // A number it does not take leaves the controller.
        sys::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
        sys::rd_kafka_DescribeTopics(rk, topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis.saturating_add(1000));
        let id = described_id(event);
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
        sys::rd_kafka_queue_destroy(queue);
        id
    }
}

/// Reads the one id out of a DescribeTopics answer.
///
/// # Safety
/// `event` is null or a live event that `rd_kafka_queue_poll` returned.
unsafe fn described_id(
    event: *mut sys::rd_kafka_event_t,
) -> Result<Option<Uuid>, RDKafkaErrorCode> {
    const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    if event.is_null() {
        return Err(RDKafkaErrorCode::OperationTimedOut);
    }
    // SAFETY: as the caller promises; every pointer read here is owned by the event.
    unsafe {
        let failed = sys::rd_kafka_event_error(event);
        if failed != NO_ERROR {
            return Err(failed.into());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count != 1 {
            return Err(RDKafkaErrorCode::Fail);
        }
        let failed = sys::rd_kafka_TopicDescription_error(*topics);
        if !failed.is_null() && sys::rd_kafka_error_code(failed) != NO_ERROR {
            return Err(sys::rd_kafka_error_code(failed).into());
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*topics);
        if id.is_null() {
            return Ok(None);
        }
        let high = sys::rd_kafka_Uuid_most_significant_bits(id) as u64;
        let low = sys::rd_kafka_Uuid_least_significant_bits(id) as u64;
        Ok(Some(Uuid::from_u64_pair(high, low)).filter(|id| !id.is_nil()))
    }
}

/// Asks for a group, and what its members were given of a topic; `None` when no broker knows it. Blocks for at most `timeout`.
pub(super) fn group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    topic: &str,
    timeout: Duration,
) -> Result<Option<Group>, RDKafkaErrorCode> {
    let name = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidGroupId)?;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut list: *const sys::rd_kafka_group_list = ptr::null();
    // SAFETY: the client outlives the call, and `name` is copied by it.
    let error =
        unsafe { sys::rd_kafka_list_groups(client.native_ptr(), name.as_ptr(), &mut list, millis) };
    if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(error.into());
    }
    if list.is_null() {
        return Ok(None);
    }
    // SAFETY: `list` is a live answer with `group_cnt` groups; everything is copied out of it before it
    // is destroyed, once, below.
    let found = unsafe { described_group(&*list, topic) };
    // SAFETY: as above; nothing points into it any more.
    unsafe { sys::rd_kafka_group_list_destroy(list) };
    found
}

/// Copies the first group of an answer.
///
/// # Safety
/// `list` is an answer of `rd_kafka_list_groups`.
unsafe fn described_group(
    list: &sys::rd_kafka_group_list,
    topic: &str,
) -> Result<Option<Group>, RDKafkaErrorCode> {
    if list.group_cnt < 1 || list.groups.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises: one group at least, its strings end with a NUL or are null, and it
    // has `member_cnt` members.
    unsafe {
        let group = &*list.groups;
        if group.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(group.err.into());
        }
        let members = match group.members.is_null() {
            true => &[],
            false => {
                let count = usize::try_from(group.member_cnt).unwrap_or_default();
                std::slice::from_raw_parts(group.members, count)
            }
        };
        let member = |one: &sys::rd_kafka_group_member_info| {
            let given = bytes(one.member_assignment.cast(), one.member_assignment_size);
            let mut given = assignment::read(&given).unwrap_or_default();
            let partitions = given.remove(topic).unwrap_or_default();
            Member { client_id: text(one.client_id), host: text(one.client_host), partitions }
        };
        let (state, protocol) = (text(group.state), text(group.protocol));
        Ok(Some(Group { state, protocol, members: members.iter().map(member).collect() }))
    }
}

/// A copy of a C string, with replacement characters for what is no UTF-8.
///
/// # Safety
/// `from` is null or ends with a NUL.
unsafe fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned()
}

/// A copy of some bytes.
///
/// # Safety
/// `from` is null or has `size` bytes.
unsafe fn bytes(from: *const u8, size: c_int) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or_default();
    if from.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(from, size) }.to_vec()
}
