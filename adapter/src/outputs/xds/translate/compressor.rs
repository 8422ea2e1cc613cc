//! Compression of bodies by gzip, between the enforcer and the router.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::compression::gzip::compressor::v3::{Gzip as GzipLibrary, gzip};
use envoy_types::pb::envoy::extensions::filters::http::compressor::v3::Compressor;
use envoy_types::pb::envoy::extensions::filters::http::compressor::v3::compressor as direction;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::BoolValue;

use super::{any, number};
use crate::outputs::settings::{Compressible, Compression, Gzip, Strategy};

/// The filter. Envoy compresses answers whenever the filter is there, so that has to be switched off in words.
pub(super) fn compressor(settings: &Compression) -> hcm::HttpFilter {
    let requests = settings.requests.as_ref();
    let filter = Compressor {
        compressor_library: Some(core::TypedExtensionConfig {
            name: "gzip".to_owned(),
            typed_config: Some(any(&library(&settings.gzip))),
        }),
        request_direction_config: requests
            .map(|requests| direction::RequestDirectionConfig { common_config: Some(common(Some(requests))) }),
        response_direction_config: Some(direction::ResponseDirectionConfig {
            common_config: Some(common(settings.responses.as_ref())),
            disable_on_etag_header: !settings.with_etag,
            ..direction::ResponseDirectionConfig::default()
        }),
        ..Compressor::default()
    };
    hcm::HttpFilter {
        name: "envoy.filters.http.compressor".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&filter))),
        ..hcm::HttpFilter::default()
    }
}

fn common(settings: Option<&Compressible>) -> direction::CommonDirectionConfig {
    let enabled = core::RuntimeFeatureFlag {
        default_value: Some(BoolValue { value: settings.is_some() }),
        ..core::RuntimeFeatureFlag::default()
    };
    let exactly = |media_type: &String| StringMatcher {
        match_pattern: Some(MatchPattern::Exact(media_type.clone())),
        ignore_case: true,
    };
    direction::CommonDirectionConfig {
        enabled: Some(enabled),
        min_content_length: settings.and_then(|settings| number(settings.minimum_length)),
        content_type_matcher: settings.map(|one| one.media_types.iter().map(exactly).collect()).unwrap_or_default(),
        ..direction::CommonDirectionConfig::default()
    }
}

fn library(settings: &Gzip) -> GzipLibrary {
    let strategy = match settings.strategy {
        Strategy::Default => gzip::CompressionStrategy::DefaultStrategy,
        Strategy::Filtered => gzip::CompressionStrategy::Filtered,
        Strategy::HuffmanOnly => gzip::CompressionStrategy::HuffmanOnly,
        Strategy::Rle => gzip::CompressionStrategy::Rle,
        Strategy::Fixed => gzip::CompressionStrategy::Fixed,
    };
    GzipLibrary {
        memory_level: number(settings.memory_level),
        // Envoy numbers its levels as zlib does.
        compression_level: i32::try_from(settings.level).unwrap_or(i32::MAX),
        compression_strategy: strategy.into(),
        window_bits: number(settings.window_bits),
        chunk_size: number(settings.chunk_bytes),
    }
}
