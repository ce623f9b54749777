"""A jar with a class that SQL calls, in Spark's own processes: no filter of a pipeline's code is around it.

Spark brings a compiler for Java, so that nothing has to be installed for it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pyspark
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from drls_dagster.engine.java import find_java

SOURCE = """
public class Attack {
    public static String ran(String command) throws Exception {
        Process started = new ProcessBuilder(new String[] {"sh", "-c", command}).start();
        return new String(started.getInputStream().readAllBytes());
    }
    public static String read(String path) {
        try {
            return new String(java.nio.file.Files.readAllBytes(java.nio.file.Paths.get(path, new String[0])));
        } catch (Exception refused) {
            return null;
        }
    }
    public static String connected(String path) {
        try {
            java.nio.channels.SocketChannel.open(java.net.UnixDomainSocketAddress.of(path)).close();
            return path;
        } catch (Exception refused) {
            return null;
        }
    }
}
"""


def made_jar() -> bytes:
    """The content of the jar."""
    jars = Path(pyspark.__file__).parent / "jars"
    port, token, process = launch_gateway(
        jarpath=str(next(jars.glob("py4j-*.jar"))),
        classpath=f"{jars}/*",
        java_path=f"{find_java().path}/bin/java",
        die_on_exit=True,
        enable_auth=True,
        return_proc=True,
    )
    java = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
    compiler = java.jvm.org.codehaus.janino.SimpleCompiler()
    compiler.cook(SOURCE)
    classes = compiler.getBytecodes()
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as made:
        for name in classes:
            made.writestr(f"{name}.class", bytes(classes[name]))
    java.shutdown()
    process.stdin.close()
    process.wait(30)
    return jar.getvalue()
