--- Subjects, consumer names, headers and object names as old clients give them. Everything else comes from a server
-- that has checked it already.

local utf8 = require("utf8")
local errors = require("mts.errors")

local M = {}

local subject_bytes_max, subject_tokens_max, consumer_bytes_max = 255, 16, 255
local headers_count_max, headers_bytes_max = 1000, 64 * 1024
local object_bytes_max = 1024

local ascii_name = "^[%w_%-/:@%%+=~.]+$"

--- Letters that another spelling stands for in Unicode's normalization form C, and parts of letters. Nothing here can
-- normalize, so that they are refused instead of making a subject that no other client can name.
local unnormalized = {
    { 0x0340, 0x0341 }, { 0x0374, 0x0374 }, { 0x037E, 0x037E }, { 0x0387, 0x0387 }, { 0x0958, 0x095F },
    { 0x09DC, 0x09DD }, { 0x09DF, 0x09DF }, { 0x0A33, 0x0A33 }, { 0x0A36, 0x0A36 }, { 0x0A59, 0x0A5B },
    { 0x0A5E, 0x0A5E }, { 0x0B5C, 0x0B5D }, { 0x0F43, 0x0F69 }, { 0x1161, 0x1175 }, { 0x11A8, 0x11C2 },
    { 0x1F71, 0x1F7D }, { 0x1FBB, 0x1FBB }, { 0x1FBE, 0x1FBE }, { 0x1FC9, 0x1FC9 }, { 0x1FCB, 0x1FCB },
    { 0x1FD3, 0x1FD3 }, { 0x1FDB, 0x1FDB }, { 0x1FE3, 0x1FE3 }, { 0x1FEB, 0x1FEB }, { 0x1FF9, 0x1FF9 },
    { 0x1FFB, 0x1FFB }, { 0x2126, 0x2126 }, { 0x212A, 0x212B }, { 0xF900, 0xFAFF }, { 0xFB1D, 0xFB1F },
    { 0xFB2A, 0xFB4E }, { 0x2F800, 0x2FA1F },
}

local function is_letter_or_digit(code)
    if not (utf8.isalpha(code) or utf8.isdigit(code)) then return false end
    for _, range in ipairs(unnormalized) do
        if code >= range[1] and code <= range[2] then return false end
    end
    return true
end

local function has_name_characters(text)
    if text:find(ascii_name) then return true end
    if utf8.len(text) == nil then return false end
    for _, code in utf8.next, text do
        local is_ascii = code < 0x80 and string.char(code):find(ascii_name) ~= nil
        if not is_ascii and not is_letter_or_digit(code) then return false end
    end
    return true
end

local function has_good_tokens(text)
    local tokens = 0
    for token in (text .. "."):gmatch("([^.]*)%.") do
        if token == "" then return false end
        tokens = tokens + 1
    end
    return tokens <= subject_tokens_max
end

--- A valid subject, or an `invalid_subject` error.
function M.subject(raw)
    if type(raw) ~= "string" or raw == "" then errors.raise("invalid_subject", "subject cannot be empty") end
    if #raw > subject_bytes_max or not has_name_characters(raw) or not has_good_tokens(raw) then
        errors.raise("invalid_subject",
            "a subject is 1 to 16 tokens of letters, digits and _ - / : @ % + = ~ joined by dots, 255 bytes at most")
    end
    return raw
end

--- A valid consumer name, or an `invalid_consumer` error.
function M.consumer(raw)
    if type(raw) ~= "string" or raw == "" then errors.raise("invalid_consumer", "durable_name cannot be empty") end
    if #raw > consumer_bytes_max or not has_name_characters(raw) then
        errors.raise("invalid_consumer", "a durable name is 1 to 255 bytes of letters, digits and _ - / : @ % + = ~ .")
    end
    return raw
end

--- A name of an object, or an `invalid_object` error.
function M.object(raw)
    if type(raw) ~= "string" or #raw > object_bytes_max or utf8.len(raw) == nil or raw:find("%c") then
        errors.raise("invalid_object", "object_name must be text of at most 1024 bytes without control characters")
    end
    return raw
end

local function text_of(value)
    if type(value) == "string" then return value end
    if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
    errors.raise("invalid_header", "header names and values must be strings")
end

--- Headers as a flat array of names and values, nil when there are none, or an `invalid_header` error.
function M.headers(raw)
    if raw == nil or raw == box.NULL then return nil end
    if type(raw) ~= "table" then errors.raise("invalid_header", "headers must be a map") end
    local flat, bytes = {}, 0
    for name, value in pairs(raw) do
        name, value = text_of(name), text_of(value)
        if utf8.len(name) == nil or utf8.len(value) == nil then
            errors.raise("invalid_header", "header names and values must be UTF-8")
        end
        bytes = bytes + #name + #value
        flat[#flat + 1] = name
        flat[#flat + 1] = value
        if bytes > headers_bytes_max or #flat > 2 * headers_count_max then
            errors.raise("invalid_header", "a message has at most 1000 headers of 64 KiB together")
        end
    end
    return #flat > 0 and flat or nil
end

return M
