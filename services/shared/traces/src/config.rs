//! Settings of tracing, under OpenTelemetry's names.

use std::convert::Infallible;
use std::str::FromStr;

/// Flags and environment; `#[command(flatten)]` it.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct TracingConfig {
    /// Base URL of a collector that takes OTLP over HTTP; spans go to its path /v1/traces. Empty: none
    /// are exported.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    pub otlp_endpoint: String,
    /// Name of this service in traces; empty: that of the program.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "")]
    pub otel_service_name: String,
    /// More about this process, such as `service.namespace=shops,service.instance.id=order-1`.
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "")]
    pub otel_resource_attributes: Attributes,
    /// Share of the traces begun here that are exported. A request that comes with a `traceparent`
    /// brings the decision along.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1")]
    pub otel_traces_sampler_arg: Ratio,
}

/// A number from 0 to 1, with up to six digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    millionths: u32,
}

const WHOLE: u32 = 1_000_000;

impl Default for Ratio {
    fn default() -> Self {
        Self { millionths: WHOLE }
    }
}

impl Ratio {
    /// Whether a trace belongs to this share. Any two processes with the same share decide the
    /// same, and so does every OpenTelemetry SDK: by the low bits of the trace id.
    pub(crate) fn holds(self, trace_id: u128) -> bool {
        let low = (trace_id & u128::from(u64::MAX)) >> 1;
        low * u128::from(WHOLE) < u128::from(self.millionths) << 63
    }
}

/// A text that is not a ratio.
#[derive(Debug, thiserror::Error)]
#[error("must be a number from 0 to 1 with at most six digits after the point")]
pub struct RatioError;

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty())
            || !is_plain(whole)
            || !is_plain(part)
            || part.len() > 6
        {
            return Err(RatioError);
        }
        let digits = format!("{whole}{part:0<6}");
        let millionths = digits.parse().map_err(|_| RatioError)?;
        (millionths <= WHOLE)
            .then_some(Self { millionths })
            .ok_or(RatioError)
    }
}

/// Pairs of `key=value`, separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<(String, String)>);

impl FromStr for Attributes {
    type Err = Infallible;

    /// Malformed pairs are ignored: they are no reason not to start.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Ok(Self(pairs.filter(|(key, _)| !key.is_empty()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_read_exactly() {
        let read = |text: &str| text.parse::<Ratio>().ok().map(|ratio| ratio.millionths);
        assert_eq!(read("1"), Some(1_000_000));
        assert_eq!(read("1.00"), Some(1_000_000));
        assert_eq!(read("0.25"), Some(250_000));
        assert_eq!(read(".000001"), Some(1));
        for bad in [
            "",
            ".",
            "1.01",
            "-0.1",
            "50%",
            "0.1234567",
            "1e-1",
            "99999999999",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_none_and_about_a_quarter_of_the_traces() {
        let share = |text: &str| {
            let ratio: Ratio = text.parse().expect("a ratio");
            let ids = (0..1_000_u128).map(|n| n * 0x0041_8937_4bc6_a7ef_9db2_2d0e_5604_1893);
            ids.filter(|id| ratio.holds(*id)).count()
        };
        assert_eq!(share("1"), 1_000);
        assert_eq!(share("0"), 0);
        assert!((200..300).contains(&share("0.25")));
    }
}
