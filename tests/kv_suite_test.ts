/** What is promised of links over HTTP and RPC, once more over an embedded database. */
import "./store_test.ts?kv";
import "./rpc_test.ts?kv";
import "./handlers_test.ts?kv";
import "./master_test.ts?kv";
