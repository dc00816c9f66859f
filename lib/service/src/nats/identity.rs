//! Which connection this is: a client reconnects by itself, and says nothing about it to those who publish.

use async_nats::Client;

/// One connection of a client to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// The server's identity, which it has until its process ends.
    pub server: String,
    /// The number that the server gave to the connection.
    pub client: u64,
}

impl ConnectionId {
    /// The connection that a client has now, or had last; `None` before the first.
    pub fn of(client: &Client) -> Option<Self> {
        client.try_server_info().map(|info| Self { server: info.server_id, client: info.client_id })
    }
}

/// A connection that took the place of another, or the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// Whether its server is another one, which may have lost what the last one acknowledged.
    pub new_server: bool,
}

/// Notices new connections.
#[derive(Debug, Default)]
pub struct ConnectionWatch(Option<ConnectionId>);

impl ConnectionWatch {
    /// Whether a client's connection is another one than at the last look.
    pub fn look(&mut self, client: &Client) -> Option<NewConnection> {
        self.notice(ConnectionId::of(client)?)
    }

    fn notice(&mut self, now: ConnectionId) -> Option<NewConnection> {
        if self.0.as_ref() == Some(&now) {
            return None;
        }
        let new_server = self.0.as_ref().is_none_or(|before| before.server != now.server);
        self.0 = Some(now);
        Some(NewConnection { new_server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_number_is_a_new_connection_and_a_new_name_a_new_server() {
        let id = |server: &str, client| ConnectionId { server: server.to_owned(), client };
        let mut watch = ConnectionWatch::default();
        assert_eq!(watch.notice(id("a", 1)), Some(NewConnection { new_server: true }));
        assert_eq!(watch.notice(id("a", 1)), None);
        assert_eq!(watch.notice(id("a", 2)), Some(NewConnection { new_server: false }));
        assert_eq!(watch.notice(id("b", 2)), Some(NewConnection { new_server: true }));
    }
}
