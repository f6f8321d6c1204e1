//! What a record that was rejected looks like, and what can be read of it all the same.

use uuid::Uuid;

use super::id::id_of_text;
use super::{Headers, Reader, Reason, Rejection, Rules};
use crate::field_path::FieldPath;
use crate::fields;
use crate::framing;
use crate::record::Record;

impl Reader<'_> {
    /// The id of a record that was rejected, where its JSON can be read all the same.
    pub fn id_as_far_as_readable(&self, record: &Record) -> Option<Uuid> {
        let value = (record.value.as_deref()).filter(|_| record.cut.is_none()).unwrap_or_default();
        let inside = framing::layers(value, self.rules.max_bytes);
        let plain = (value, Vec::new());
        let inside = inside
            .iter()
            .filter_map(|(_, layer)| Some((layer.value.as_deref()?, layer.headers.clone())));
        std::iter::once(plain).chain(inside).find_map(|(value, inside)| {
            let headers = Headers { record, inside: &inside };
            let json = serde_json::from_slice::<serde_json::Value>(value).ok();
            let mut texts = self.rules.id_from.iter().filter_map(|place| match place {
                FieldPath::Header(name) => Some(headers.get(name.as_bytes())?.to_vec()),
                FieldPath::Json(pointer) => {
                    Some(fields::text_of(json.as_ref()?.pointer(pointer)?)?.into_bytes())
                }
            });
            texts.find_map(|text| id_of_text(&text).filter(|_| !text.is_empty()))
        })
    }

    /// A rejection that says what the value looks like where something else may hold the event, and which line of the
    /// configuration reads it, if one does.
    pub(super) fn with_its_look(
        &self,
        rejection: Rejection,
        record: &Record,
        topic_id: Uuid,
        value: &[u8],
    ) -> Rejection {
        let Rules { envelopes, max_bytes, .. } = self.rules;
        let may_hold_it = matches!(
            rejection.reason,
            Reason::SchemaFraming
                | Reason::NotUtf8
                | Reason::NotJson
                | Reason::NotAnObject
                | Reason::NoType
                | Reason::Wrapped
        );
        if !may_hold_it || value.len() > *max_bytes {
            return rejection;
        }
        let lists = framing::layers(value, *max_bytes).into_iter();
        let mut lists = lists.map(|(taken, _)| framing::both(envelopes, &taken));
        let line = lists.find(|list| {
            let inside = framing::unwrap(value, list, *max_bytes);
            inside.and_then(|inside| self.read_inside(record, topic_id, inside)).is_ok()
        });
        let line = line.map(|list| {
            let names: Vec<String> = list.iter().map(|name| format!("\"{name}\"")).collect();
            format!("; its [[inbox]] reads it with this line: envelopes = [{}]", names.join(", "))
        });
        let Some(look) = framing::named(value, *max_bytes) else { return rejection };
        let detail =
            format!("{}; it looks like {look}{}", rejection.detail, line.unwrap_or_default());
        Rejection::new(rejection.reason, detail)
    }
}
