#include <windows.h>

/*
 * Node-API on Windows. A DLL names there the program that it takes functions from, and that would be
 * node.exe: addons would not load in Electron, in Bun or in a renamed Node. So this one looks the functions
 * up in the program that loads it. The linker asks for `__imp_NAME`, a pointer, for each function that is
 * called; it fails where one is missing below.
 */

// clang-format off
#define SET_NODE_API(X) \
  X(napi_add_env_cleanup_hook) \
  X(napi_add_finalizer) \
  X(napi_adjust_external_memory) \
  X(napi_call_threadsafe_function) \
  X(napi_check_object_type_tag) \
  X(napi_close_escapable_handle_scope) \
  X(napi_close_handle_scope) \
  X(napi_coerce_to_string) \
  X(napi_create_array) \
  X(napi_create_array_with_length) \
  X(napi_create_double) \
  X(napi_create_error) \
  X(napi_create_external) \
  X(napi_create_function) \
  X(napi_create_object) \
  X(napi_create_promise) \
  X(napi_create_reference) \
  X(napi_create_string_utf8) \
  X(napi_create_threadsafe_function) \
  X(napi_create_type_error) \
  X(napi_define_class) \
  X(napi_define_properties) \
  X(napi_delete_reference) \
  X(napi_escape_handle) \
  X(napi_fatal_error) \
  X(napi_get_and_clear_last_exception) \
  X(napi_get_array_length) \
  X(napi_get_boolean) \
  X(napi_get_cb_info) \
  X(napi_get_element) \
  X(napi_get_global) \
  X(napi_get_instance_data) \
  X(napi_get_last_error_info) \
  X(napi_get_named_property) \
  X(napi_get_new_target) \
  X(napi_get_null) \
  X(napi_get_property) \
  X(napi_get_reference_value) \
  X(napi_get_typedarray_info) \
  X(napi_get_undefined) \
  X(napi_get_value_bool) \
  X(napi_get_value_double) \
  X(napi_get_value_external) \
  X(napi_get_value_string_utf8) \
  X(napi_has_property) \
  X(napi_is_array) \
  X(napi_is_arraybuffer) \
  X(napi_is_dataview) \
  X(napi_is_exception_pending) \
  X(napi_is_promise) \
  X(napi_is_typedarray) \
  X(napi_new_instance) \
  X(napi_open_escapable_handle_scope) \
  X(napi_open_handle_scope) \
  X(napi_reject_deferred) \
  X(napi_release_threadsafe_function) \
  X(napi_remove_wrap) \
  X(napi_resolve_deferred) \
  X(napi_set_element) \
  X(napi_set_instance_data) \
  X(napi_set_named_property) \
  X(napi_throw) \
  X(napi_type_tag_object) \
  X(napi_typeof) \
  X(napi_unwrap) \
  X(napi_wrap)
// clang-format on

extern "C" {
#define SET_IMPORT(name) FARPROC __imp_##name;
SET_NODE_API(SET_IMPORT)
#undef SET_IMPORT

/** Refuses to be loaded, with an error of the program that tries, where that program lacks a function. */
BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  HMODULE host = GetModuleHandleW(L"libnode.dll");  // a Node that was built as a library
  if (host == nullptr) host = GetModuleHandleW(nullptr);
#define SET_LOOK_UP(name) \
  if ((__imp_##name = GetProcAddress(host, #name)) == nullptr) return FALSE;
  SET_NODE_API(SET_LOOK_UP)
#undef SET_LOOK_UP
  return TRUE;
}
}
