//! The `orbit` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One TLS stack: whoever asks rustls for the default provider gets ring.
    rustls::crypto::ring::default_provider().install_default().expect("nothing has installed a provider before main");
    let command = orbit_plane::cli::Cli::parse();
    let failure = command.failure();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into(), failure),
    };
    runtime.block_on(command.run()).unwrap_or_else(|error| failed(&error, failure))
}

/// The error and its causes in one line: whoever runs a command wants to know what to do, not where in our code it was.
fn failed(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("Error: {}", said(error));
    code
}

/// The error's causes in one line, outermost first. Of what the API server refuses, its own message: the client library
/// adds the whole answer to it.
fn said(error: &anyhow::Error) -> String {
    let mut words = Vec::new();
    for cause in error.chain() {
        if let Some(kube::Error::Api(status)) = cause.downcast_ref() {
            words.push(status.message.clone());
            break;
        }
        words.push(cause.to_string());
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_said_once() {
        let refused = kube::Error::Api(Box::new(Status::failure("who are you", "Forbidden").with_code(403)));
        let error = anyhow::Error::new(refused).context("applying it").context("starting");
        assert_eq!(said(&error), "starting: applying it: who are you");
        assert_eq!(said(&anyhow::anyhow!("no").context("reading it")), "reading it: no");
    }
}
