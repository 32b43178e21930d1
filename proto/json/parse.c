/* Text -> JSON tree, by jansson; its own messages stay inside. */
#include "proto/json/json.h"

/* Line and column (both from 1, the column in bytes) of the first bracket that nests too deep; false when there is
 * none. Counts before anything is built, so a text of brackets only costs one pass. */
static bool too_deep(const char *p, size_t n, int *line, int *column)
{
	unsigned depth = 0;
	bool in_string = false;
	const char *line_start = p;

	*line = 1;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '\n') {
			++*line;
			line_start = p + i + 1;
		}
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > JSON_DEPTH_MAX) {
			*column = (int)(p + i - line_start) + 1;
			return true;
		} else if (!in_string && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return false;
}

static const char *words_for(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "the same key is given twice";
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_end_of_input_expected:
		return "there is more behind its end";
	case json_error_invalid_utf8:
		return "it is not valid UTF-8";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "it holds a NUL character";
	case json_error_numeric_overflow:
		return "a number is too large";
	default:
		return "it is not JSON";
	}
}

int json_parse(json_t **out, const char *p, size_t n, struct tr_fault *fault)
{
	json_error_t error;
	json_t *j;
	int line, column;

	if (too_deep(p, n, &line, &column))
		return tr_fault_set(fault, TR_EMALFORMED, "", "it nests deeper than %d (line %d, column %d)",
				    JSON_DEPTH_MAX, line, column);
	j = json_loadb(n > 0 ? p : "", n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (j == NULL && json_error_code(&error) == json_error_out_of_memory)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	if (j == NULL)
		return tr_fault_set(fault, TR_EMALFORMED, "", "%s (line %d, column %d)",
				    words_for(json_error_code(&error)), error.line, error.column);
	*out = j;
	return 0;
}
