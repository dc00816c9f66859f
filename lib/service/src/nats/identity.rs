//! Identifies connections: a client reconnects by itself and does not notify those who publish through it.

use async_nats::Client;

/// One connection of a client to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// The server's id, which changes when its process restarts.
    pub server: String,
    /// The number that the server has given to the connection.
    pub client: u64,
}

impl ConnectionId {
    /// The client's current connection, or its last one; `None` before the first.
    pub fn of(client: &Client) -> Option<Self> {
        client.try_server_info().map(|info| Self { server: info.server_id, client: info.client_id })
    }
}

/// A connection that took the place of another, or the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// Whether the server is another one, which may lack messages that the last one acknowledged.
    pub new_server: bool,
}

/// Notices new connections.
#[derive(Debug, Default)]
pub struct ConnectionWatch(Option<ConnectionId>);

impl ConnectionWatch {
    /// Whether the client has a new connection since the last call.
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
