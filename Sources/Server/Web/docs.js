// The API, readable and tryable, from the server's own description of it.
window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: "/openapi.json", dom_id: "#swagger", deepLinking: true, docExpansion: "list", defaultModelsExpandDepth: -1,
    tryItOutEnabled: true, validatorUrl: null,
  });
});
