/** What a tenant's SELECT may be made of. Anything that is not named here is refused, whatever a later PostgreSQL adds. */
export const allowedNodes = new Set(
  `SelectStmt ResTarget ColumnRef A_Star String Integer Float Boolean A_Const A_Expr BoolExpr NullTest BooleanTest FuncCall
   WindowDef SortBy SubLink RangeVar RangeSubselect RangeFunction JoinExpr CommonTableExpr CaseExpr CaseWhen CoalesceExpr
   MinMaxExpr TypeCast A_ArrayExpr A_Indirection A_Indices RowExpr GroupingSet GroupingFunc CollateClause List
   SQLValueFunction ParamRef NamedArgExpr`.split(/\s+/),
)

/** Fields that hold a structure without its name in front: SELECT … INTO, FOR UPDATE. */
export const refusedFields: Readonly<Record<string, string>> = {
  intoClause: 'SELECT INTO makes a table',
  lockingClause: 'FOR UPDATE and FOR SHARE lock rows',
}

/** Fields whose node stands without its name in front. */
export const plainFields = new Set('withClause alias over ival fval sval boolval bsval'.split(' '))

/** Built-in functions that only compute from their arguments. */
export const allowedFunctions = new Set(
  `count sum avg min max stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp regr_slope
   regr_intercept regr_r2 regr_count regr_avgx regr_avgy bool_and bool_or every bit_and bit_or bit_xor string_agg array_agg json_agg
   jsonb_agg json_object_agg jsonb_object_agg any_value percentile_cont percentile_disc mode rank dense_rank percent_rank
   cume_dist row_number ntile lag lead first_value last_value nth_value
   abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log10 power pow mod div gcd lcm degrees radians pi sin cos
   tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh cot erf erfc sind cosd tand width_bucket factorial
   lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim lpad rpad left right
   substring substr position strpos replace translate reverse split_part starts_with concat concat_ws chr ascii overlay
   regexp_replace regexp_match regexp_matches regexp_substr regexp_count regexp_instr regexp_like regexp_split_to_array
   regexp_split_to_table string_to_array string_to_table array_to_string md5 sha224 sha256 sha384 sha512 encode decode
   to_hex to_bin to_oct bit_count crc32 crc32c casefold to_char to_number to_date to_timestamp format normalize unistr quote_literal like_escape similar_to_escape
   similar_escape
   date_part date_trunc date_bin date_add date_subtract extract age make_date make_time make_timestamp make_timestamptz make_interval
   justify_days justify_hours justify_interval isfinite timezone now transaction_timestamp statement_timestamp date
   timestamp overlaps
   array_length array_lower array_upper array_ndims cardinality array_append array_prepend array_cat array_remove
   array_replace array_position array_positions array_fill array_reverse unnest generate_series generate_subscripts trim_array array_sort
   json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb row_to_json json_array_length
   jsonb_array_length json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text
   jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first json_object jsonb_object
   json_each jsonb_each json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_extract_path
   jsonb_extract_path json_extract_path_text jsonb_extract_path_text json_typeof jsonb_typeof jsonb_set jsonb_insert
   jsonb_strip_nulls json_strip_nulls jsonb_pretty
   num_nulls num_nonnulls gen_random_uuid uuid_extract_timestamp  hashtext min_scale scale trim_scale
   text int4 int8 float8 numeric bool`.split(/\s+/),
)

export const allowedTypes = new Set(
  `bool boolean int2 int4 int8 smallint integer int bigint float4 float8 real numeric decimal text varchar bpchar char date time timetz
   timestamp timestamptz interval json jsonb uuid bytea`.split(/\s+/),
)

/** CURRENT_DATE and its like; CURRENT_USER and its like tell of the machinery. */
export const allowedValueFunctions =
  /^SVFOP_(CURRENT_DATE|CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP)(_N)?$/
