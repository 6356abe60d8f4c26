"""The house's addresses: each room brings its own; here are only the doors that belong to no room."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

# The bundled API browser writes style attributes: its page alone allows them.
api_docs = csp_update({"style-src": [SELF, UNSAFE_INLINE]})(
    login_required(SpectacularSwaggerSplitView.as_view(url_name="api-schema"))
)

urlpatterns = [
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(api_version="1"), name="api-schema"),
    path("api/docs/", api_docs, name="api-docs"),
    path("", include("executions.urls")),
    path("", include("tasks.urls")),
    path("", include("workers.urls")),
    path("api/", include("executions.api.nowhere")),
]
