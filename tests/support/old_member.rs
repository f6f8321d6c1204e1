//! A member of a consumer group that speaks Kafka's protocol by hand: with any assigner and any name.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const JOIN_GROUP: i16 = 11;
const SYNC_GROUP: i16 = 14;
/// Short, so that the group is empty soon after the member is gone; brokers refuse less.
const SESSION_MS: i32 = 6000;

/// The only member of its group, until it is dropped and its session ends.
pub struct OldMember {
    _connection: TcpStream,
}

impl OldMember {
    /// Joins a group that has no members, by the broker that has all coordinators.
    pub fn join(broker: &str, group: &str, assigner: &str, client_id: &[u8]) -> OldMember {
        let mut connection = TcpStream::connect(broker).unwrap();
        let mut body = Vec::new();
        text(&mut body, group.as_bytes());
        body.extend(SESSION_MS.to_be_bytes());
        body.extend(SESSION_MS.to_be_bytes());
        text(&mut body, b"");
        text(&mut body, b"consumer");
        body.extend(1i32.to_be_bytes());
        text(&mut body, assigner.as_bytes());
        bytes(&mut body, b"");
        let answer = ask(&mut connection, JOIN_GROUP, 2, client_id, &body);
        // Throttle time, error, generation, assigner, leader, member.
        let mut rest = Reader(&answer[4..]);
        assert_eq!(rest.int16(), 0, "JoinGroup was refused");
        let generation = rest.take(4).to_vec();
        let (_assigner, _leader) = (rest.text(), rest.text());
        let member = rest.text();
        let mut body = Vec::new();
        text(&mut body, group.as_bytes());
        body.extend(generation);
        text(&mut body, &member);
        body.extend(1i32.to_be_bytes());
        text(&mut body, &member);
        bytes(&mut body, b"");
        let answer = ask(&mut connection, SYNC_GROUP, 1, client_id, &body);
        assert_eq!(Reader(&answer[4..]).int16(), 0, "SyncGroup was refused");
        OldMember { _connection: connection }
    }
}

/// Sends a request and returns the answer after its correlation id.
fn ask(
    connection: &mut TcpStream,
    api: i16,
    version: i16,
    client_id: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(7i32.to_be_bytes());
    text(&mut request, client_id);
    request.extend(body);
    let length = u32::try_from(request.len()).unwrap();
    connection.write_all(&length.to_be_bytes()).unwrap();
    connection.write_all(&request).unwrap();
    let mut length = [0; 4];
    connection.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    connection.read_exact(&mut answer).unwrap();
    answer.split_off(4)
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn text(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.int16()).unwrap();
        self.take(length).to_vec()
    }
}
