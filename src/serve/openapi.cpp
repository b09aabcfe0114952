#include "serve/openapi.h"

namespace bop::serve {

namespace {

// In pieces: compilers need not take a literal of more than some thousand characters.
constexpr char text[] =
    R"json({
 "openapi": "3.1.0",
 "info": {
  "title": "bop",
  "version": "1",
  "description": "A replicated, durable key-value store. Reads are linearizable."
 },
 "paths": {
  "/v1/kv/{key}": {
   "parameters": [
    {
     "name": "key",
     "in": "path",
     "required": true,
     "schema": {
      "type": "string"
     },
     "description": "percent-encoded, 1 to 1024 bytes"
    },
    {
     "name": "timeout_ms",
     "in": "query",
     "schema": {
      "type": "integer"
     },
     "description": "how long the client waits"
    }
   ],
   "get": {
    "summary": "Read a value",
    "parameters": [
     {
      "name": "If-Match",
      "in": "header",
      "schema": {
       "type": "string"
      },
      "description": "* or a revision"
     },
     {
      "name": "If-None-Match",
      "in": "header",
      "schema": {
       "type": "string"
      },
      "description": "for GET a revision, for PUT *"
     }
    ],
    "responses": {
     "200": {
      "description": "the value as it is",
      "headers": {
       "ETag": {
        "schema": {
         "type": "string"
        }
       },
       "X-Bop-Revision": {
        "schema": {
         "type": "integer"
        }
       }
      },
      "content": {
       "application/octet-stream": {}
      }
     },
     "304": {
      "description": "its revision is that of If-None-Match"
     },
     "404": {
      "description": "there is no such key",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "412": {
      "description": "If-Match does not hold",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "400": {
      "description": "the request is malformed; nothing was changed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "503": {
      "description": "not executed: no leader, overload, a full disk or log; outcome is not_executed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     }
    }
   },
   "put": {
    "summary": "Write a value",
    "parameters": [
     {
      "name": "If-Match",
      "in": "header",
      "schema": {
       "type": "string"
      },
      "description": "* or a revision"
     },
     {
      "name": "If-None-Match",
      "in": "header",
      "schema": {
       "type": "string"
      },
      "description": "for GET a revision, for PUT *"
     }
    ],
    "requestBody": {
     "required": true,
     "description": "at most 1 MiB",
     "content": {
      "application/octet-stream": {}
     }
    },
    "responses": {
     "200": {
      "description": "written",
      "headers": {
       "ETag": {
        "schema": {
         "type": "string"
        }
       },
       "X-Bop-Revision": {
        "schema": {
         "type": "integer"
        }
       }
      },
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "revision": {
           "type": "integer"
          }
         }
        }
       }
      }
     },
     "412": {
      "description": "a condition does not hold; revision is the key's, 0 when there is none",
      "content": {
)json"
    R"json(       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "413": {
      "description": "too large",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "400": {
      "description": "the request is malformed; nothing was changed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "503": {
      "description": "not executed: no leader, overload, a full disk or log; outcome is not_executed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "504": {
      "description": "may or may not have been executed; outcome is unknown",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     }
    }
   },
   "delete": {
    "summary": "Delete a key",
    "parameters": [
     {
      "name": "If-Match",
      "in": "header",
      "schema": {
       "type": "string"
      },
      "description": "* or a revision"
     }
    ],
    "responses": {
     "204": {
      "description": "deleted"
     },
     "404": {
      "description": "there was no such key",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "412": {
      "description": "If-Match does not hold",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "400": {
      "description": "the request is malformed; nothing was changed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "503": {
      "description": "not executed: no leader, overload, a full disk or log; outcome is not_executed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "504": {
      "description": "may or may not have been executed; outcome is unknown",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     }
    }
   }
  },
  "/v1/kv": {
   "get": {
    "summary": "Read a range of keys, in order",
    "parameters": [
     {
      "name": "prefix",
      "in": "query",
      "schema": {
       "type": "string"
      },
      "description": "keys that begin so"
     },
     {
      "name": "start",
      "in": "query",
      "schema": {
       "type": "string"
      },
      "description": "the first key"
     },
     {
      "name": "end",
      "in": "query",
      "schema": {
       "type": "string"
      },
      "description": "the key before which to stop"
     },
     {
      "name": "after",
      "in": "query",
      "schema": {
       "type": "string"
      },
      "description": "go on after this key"
     },
     {
      "name": "limit",
      "in": "query",
      "schema": {
       "type": "integer"
      },
      "description": "1 to 10000, usually 100"
     },
     {
      "name": "keys_only",
      "in": "query",
)json"
    R"json(      "schema": {
       "type": "boolean"
      },
      "description": "leave the values out"
     },
     {
      "name": "timeout_ms",
      "in": "query",
      "schema": {
       "type": "integer"
      },
      "description": "how long the client waits"
     }
    ],
    "responses": {
     "200": {
      "description": "records; more says that the limit ended them",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "properties": {
          "index": {
           "type": "integer"
          },
          "more": {
           "type": "boolean"
          },
          "records": {
           "type": "array",
           "items": {
            "type": "object",
            "properties": {
             "key": {
              "oneOf": [
               {
                "type": "string"
               },
               {
                "type": "object",
                "properties": {
                 "base64": {
                  "type": "string"
                 }
                }
               }
              ]
             },
             "revision": {
              "type": "integer"
             },
             "value": {
              "oneOf": [
               {
                "type": "string"
               },
               {
                "type": "object",
                "properties": {
                 "base64": {
                  "type": "string"
                 }
                }
               }
              ]
             }
            }
           }
          }
         }
        }
       }
      }
     },
     "400": {
      "description": "the request is malformed; nothing was changed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     },
     "503": {
      "description": "not executed: no leader, overload, a full disk or log; outcome is not_executed",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/Problem"
        }
       }
      }
     }
    }
   }
  },
  "/v1/status": {
   "get": {
    "summary": "The node, its groups and its peers",
    "responses": {
     "200": {
      "description": "status",
      "content": {
       "application/json": {}
      }
     }
    }
   }
  },
  "/metrics": {
   "get": {
    "summary": "Metrics as Prometheus text",
    "responses": {
     "200": {
      "description": "metrics",
      "content": {
       "text/plain": {}
      }
     }
    }
   }
  },
  "/livez": {
   "get": {
    "summary": "The process serves",
    "responses": {
     "200": {
      "description": "ok"
     }
    }
   }
  },
  "/readyz": {
   "get": {
    "summary": "Every group has a leader and this node has caught up",
    "responses": {
     "200": {
      "description": "ok"
     },
     "503": {
      "description": "not ready"
     }
    }
   }
  }
 },
 "components": {
  "schemas": {
   "Problem": {
    "type": "object",
    "required": [
     "error"
    ],
    "properties": {
     "error": {
      "type": "object",
      "required": [
       "code",
       "text"
      ],
      "properties": {
       "code": {
        "type": "string"
       },
       "text": {
        "type": "string"
       }
      }
     },
     "outcome": {
      "enum": [
       "unknown",
       "not_executed"
      ]
     },
     "leader": {
      "type": [
       "integer",
       "null"
      ]
     },
)json"
    R"json(     "revision": {
      "type": "integer"
     }
    }
   }
  }
 }
}
)json";

}  // namespace

std::string_view openapi_text() { return {text, sizeof text - 1}; }

}  // namespace bop::serve
