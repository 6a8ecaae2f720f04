//! What our class reads from the annotations of a Gateway, because the Gateway API has no field for it.

use http::HeaderValue;

use crate::api::Gateway;
use crate::own::OwnRoutes;

/// How many proxies in front of the gateway are trusted to have added to `X-Forwarded-For`; 0 to [`MAX_HOPS`].
pub const TRUSTED_HOPS: &str = "storefront.dev/trusted-hops";
/// `true`: requests over HTTP for a host with HTTPS are redirected.
pub const HTTPS_REDIRECT: &str = "storefront.dev/https-redirect";
/// Value of `Strict-Transport-Security` in responses over HTTPS.
pub const HSTS: &str = "storefront.dev/hsts";
/// The routes of the shop whose Gateway it is, see [`OwnRoutes`].
pub const OWN_ROUTES: &str = "storefront.dev/own-routes";
/// More proxies are a mistake.
pub const MAX_HOPS: usize = 16;

/// The settings of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Proxies in front of the gateway that are trusted.
    pub trusted_hops: usize,
    /// Whether HTTP is redirected to HTTPS where a certificate is served.
    pub redirects: bool,
    /// `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
}

fn annotation<'a>(gateway: &'a Gateway, name: &str) -> Option<&'a String> {
    gateway.metadata.annotations.as_ref()?.get(name)
}

/// The routes of the shop whose Gateway it is; none where it is not a shop's.
pub(crate) fn own_routes(gateway: &Gateway) -> OwnRoutes {
    let text = annotation(gateway, OWN_ROUTES);
    text.and_then(|text| OwnRoutes::read(text))
        .unwrap_or_default()
}

impl Settings {
    /// The settings of a gateway. One that is wrong is the error; [`Settings::lenient`] leaves it out.
    pub(crate) fn read(gateway: &Gateway) -> Result<Self, String> {
        let annotation = |name: &str| annotation(gateway, name);
        let wrong = |name: &str, value: &str, must: &str| {
            format!("annotation {name}: {value:?} must be {must}")
        };
        let trusted_hops = match annotation(TRUSTED_HOPS) {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|hops| *hops <= MAX_HOPS)
                .ok_or_else(|| wrong(TRUSTED_HOPS, text, "a number from 0 to 16"))?,
        };
        let redirects = match annotation(HTTPS_REDIRECT).map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(wrong(HTTPS_REDIRECT, other, "true or false")),
        };
        let hsts = annotation(HSTS)
            .map(|text| {
                HeaderValue::try_from(text).map_err(|_| wrong(HSTS, text, "a header value"))
            })
            .transpose()?;
        if let Some(text) = annotation(OWN_ROUTES)
            && OwnRoutes::read(text).is_none()
        {
            let must = "an object of ServiceDeployments with their HTTPRoutes and paths";
            return Err(wrong(OWN_ROUTES, text, must));
        }
        Ok(Self {
            trusted_hops,
            redirects,
            hsts,
        })
    }

    /// The settings, or the defaults where one of them is wrong, which trust nobody.
    pub(crate) fn lenient(gateway: &Gateway) -> Self {
        Self::read(gateway).unwrap_or_default()
    }
}
