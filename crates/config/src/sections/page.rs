//! `[http]`: who is answered.

use std::net::SocketAddr;

use secrecy::SecretString;

use crate::declare::section;
use crate::kinds::{address, hosts, token, truth};

section! {
    /// The status page (/), probes (/livez, /readyz), metrics (/metrics) and status (/api/v1/status). Nothing there changes
    /// anything, but whoever reaches it sees topics, errors and numbers. So an address that other machines reach, such as
    /// 0.0.0.0:8745, wants a token, or the word that none is needed.
    pub struct Http(Clone, Debug) {
        /// Where they are answered; "" for nowhere. An address that is taken stops no payment: it is tried again, so that of
        /// two daemons on one machine the second answers when the first one ends.
        listen: Option<SocketAddr> = "127.0.0.1:8745", address();
        /// What callers must send, as `Authorization: Bearer TOKEN`, or in a browser as the password of any user. Only
        /// /livez and /readyz, which say no more than whether it works, are answered without. Also
        /// MAKEGOOD_HTTP_TOKEN, and MAKEGOOD_HTTP_TOKEN_FILE for a file with it.
        token: Option<SecretString> = "", token();
        /// Other machines may ask without a token, because a firewall or a proxy with a login keeps strangers away.
        open: bool = false, truth();
        /// The names, without ports, under which it may be asked where no token is set. Addresses and localhost always may.
        hosts: Vec<String> = [], hosts();
        /// The page shows a payment and its purchase to whoever types its id. false leaves that to `makegood explain`,
        /// and is the default where other machines reach the address.
        explain: bool = true, truth();
        /// The page finds payments by whatever the mapping's lookup.sql takes as well, such as a student, an e-mail address or
        /// an invoice. Whoever may see the page can then ask for anybody's, so it wants a token, or open = true.
        search: bool = false, truth();
    }
}

impl Http {
    /// Whether other machines can reach it.
    pub fn is_reachable(&self) -> bool {
        self.listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback())
    }
}
