"""Plain values, as text for people and as JSON for programs."""

from ..json_forms import JSON_FORMS as JSON_FORMS
from ..json_forms import to_json as to_json
from ..text_forms import describe as describe
from ..text_forms import to_text as to_text
