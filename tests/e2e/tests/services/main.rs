//! The services as processes of their own around one broker, as users and operators meet them.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod addresses;
mod alert_rules;
mod api;
mod bad_input;
mod called;
mod checkers;
mod day;
mod endings;
mod faults;
mod file_size;
mod floods;
mod full_disk;
mod history_answers;
mod history_commands;
mod history_limits;
mod history_seam;
mod limits;
mod names;
mod notify;
mod operator;
mod other_host;
mod outage;
mod output;
mod pipeline;
mod prometheus;
mod redaction;
mod remote_write;
mod replicas;
mod restarts;
mod right_number;
mod scale_out;
mod settings;
mod stream;
mod traffic;
mod unheard;
